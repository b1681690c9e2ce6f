/** The agent's keys: made once, whole, closed to others, and never made over what is there. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import fsPromises, { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadKeys } from '../../agent/keys.ts';
import { makeKeyText } from '../../agent/signing-key.ts';
import { makeRootKey, readRootKey } from '../../cli/root-key.ts';
import { publicBytesOf } from '../../ledger/signing.ts';
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
  expect(await complaintsOf(config)).toEqual([]);
  await chmod(config.redaction_key_file, 0o644);
  await chmod(config.signing_key_file, 0o640);
  expect(await complaintsOf(config)).toEqual([
    expect.stringMatching(/redaction\.key .*mode 0644.* closed/),
    expect.stringMatching(/signing\.key .*mode 0640.* closed/),
  ]);
  expect((await stat(config.signing_key_file)).mode & 0o777).toBe(0o600);
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
  expect(await complaintsOf(config)).toEqual([expect.stringContaining('the mount forbids')]);
});

async function complaintsOf(config: Parameters<typeof loadKeys>[0]): Promise<readonly string[]> {
  const loaded = await loadKeys(config);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.value.complaints;
}

test('a signing key out of the environment signs like one in a file, and never falls back to another', async () => {
  await using temp = await makeTempDir();
  const { redaction_key_file, generate } = configIn(temp.path);
  const signing_key = makeKeyText();
  const own = { redaction_key_file, generate };
  const loaded = await loadKeys({ ...own, signing_key, next: { signing_key: makeKeyText() } });
  if (!loaded.ok) throw new Error(loaded.error.message);
  const { signing, next } = loaded.value;
  expect(signing.publicKey).toEqual(Uint8Array.from(publicBytesOf(createPrivateKey(signing_key))));
  expect(next?.publicKey).not.toEqual(signing.publicKey);
  expect(await readdir(join(temp.path, 'keys'))).toEqual(['redaction.key']);
  for (const bad of ['garbage', generateKeyPairSync('x25519').privateKey]) {
    const text = typeof bad === 'string' ? bad : bad.export({ type: 'pkcs8', format: 'pem' });
    const refused = await loadKeys({ ...own, signing_key: text.toString() });
    expect(refused.ok).toBe(false);
    expect(!refused.ok && refused.error.message).toContain('keys.signing_key');
  }
});

test('where it is known which key signs, a missing one is not made anew', async () => {
  await using temp = await makeTempDir();
  const config = configIn(temp.path);
  expect(await loadKeys(config, { isKeyKnown: true })).toMatchObject({ ok: false });
  expect((await loadKeys(config)).ok).toBe(true);
  expect((await loadKeys(config, { isKeyKnown: true })).ok).toBe(true);
});

test('a root key that others may read, or whose halves are no pair, signs nothing', async () => {
  await using temp = await makeTempDir();
  const [path, other] = [join(temp.path, 'root.key'), join(temp.path, 'other.key')];
  const made = await makeRootKey(path, 'acme/root');
  await makeRootKey(other, 'acme/root');
  expect(await readRootKey(path)).toMatchObject({
    ok: true,
    value: { vkey: made.ok && made.value },
  });
  expect((await makeRootKey(path, 'acme/root')).ok).toBe(false);
  expect((await makeRootKey(join(temp.path, 'third.key'), 'two words')).ok).toBe(false);
  await chmod(path, 0o640);
  expect(await readRootKey(path)).toMatchObject({
    ok: false,
    error: expect.stringContaining('0640') as string,
  });
  const [[vkey], [, ...pem]] = [
    (await readFile(path, 'utf8')).split('\n'),
    (await readFile(other, 'utf8')).split('\n'),
  ];
  await writeFile(other, [vkey, ...pem].join('\n'));
  expect((await readRootKey(other)).ok).toBe(false);
});
