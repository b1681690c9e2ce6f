/** The agent's keys: made once, whole, closed to others, and never made over what is there. */
import fsPromises, { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadKeys } from '../../agent/keys.ts';
import { makeTempDir } from '../support/ledger.ts';

const configIn = (dir: string, generate = true) => ({
  redaction_key_file: join(dir, 'keys', 'redaction.key'),
  signing_key_file: join(dir, 'keys', 'signing.key'),
  generate,
});

test('missing keys are made once, each whole and for the agent alone', async () => {
  await using temp = await makeTempDir();
  const first = await loadKeys(configIn(temp.path));
  const second = await loadKeys(configIn(temp.path));
  if (!first.ok || !second.ok) throw new Error('no keys');
  expect(first.value.generated).toHaveLength(2);
  expect(second.value).toMatchObject({
    generated: [],
    redaction: first.value.redaction,
    signing: { publicKey: first.value.signing.publicKey },
  });
  expect(first.value.signing.publicKey).toHaveLength(32);
  expect((await readdir(join(temp.path, 'keys'))).sort()).toEqual(['redaction.key', 'signing.key']);
  for (const path of [configIn(temp.path).redaction_key_file, configIn(temp.path).signing_key_file])
    expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('a key that is there but no key is told, and left as it is', async () => {
  await using temp = await makeTempDir();
  const config = configIn(temp.path);
  await mkdir(join(temp.path, 'keys'));
  for (const text of ['', 'not hex', 'abcd']) {
    await writeFile(config.redaction_key_file, text);
    const loaded = await loadKeys(config);
    expect(loaded).toMatchObject({ ok: false, error: { kind: 'key' } });
    expect(!loaded.ok && loaded.error.message).toContain(config.redaction_key_file);
    expect(await readFile(config.redaction_key_file, 'utf8')).toBe(text);
  }
});

test('without leave to make keys a missing one is an error', async () => {
  await using temp = await makeTempDir();
  expect(await loadKeys(configIn(temp.path, false))).toMatchObject({
    ok: false,
    error: { kind: 'key' },
  });
});

test('a key that others may read is closed to them; where a mount forbids that, it is used as it is', async () => {
  await using temp = await makeTempDir();
  const config = configIn(temp.path);
  await loadKeys(config);
  await chmod(config.redaction_key_file, 0o644);
  expect((await loadKeys(config)).ok).toBe(true);
  expect((await stat(config.redaction_key_file)).mode & 0o777).toBe(0o600);

  await chmod(config.redaction_key_file, 0o444);
  const real = fsPromises.chmod;
  fsPromises.chmod = () =>
    Promise.reject(Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' }));
  syncBuiltinESMExports();
  onTestFinished(() => {
    fsPromises.chmod = real;
    syncBuiltinESMExports();
  });
  expect((await loadKeys(config)).ok).toBe(true);
});
