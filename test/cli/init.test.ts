import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../agent/config.ts';
import { runInit } from '../../cli/init.ts';
import { repositoryText } from '../support/config.ts';
import { makeTempDir } from '../support/ledger.ts';

async function init(dir: string, force = false): Promise<{ code: number; said: string }> {
  const said: string[] = [];
  const code = await runInit({ dir, force, say: (line) => said.push(line) });
  return { code, said: said.join('\n') };
}

test('init writes a configuration and a vocabulary that are valid, and says what to do next', async () => {
  await using temp = await makeTempDir();
  const dir = join(temp.path, 'etc/sealtrail');
  const { code, said } = await init(dir);
  expect(code).toBe(0);
  expect((await readdir(dir)).toSorted()).toEqual(['sealtrail.yaml', 'vocabulary.json']);
  const text = await readFile(join(dir, 'sealtrail.yaml'), 'utf8');
  expect(text).toBe(repositoryText('config/sealtrail.yaml'));
  expect(await loadConfig(join(dir, 'sealtrail.yaml'), {})).toMatchObject({
    ok: true,
    value: { agent: { vocabulary_file: join(dir, 'vocabulary.json') } },
  });
  expect(said).toContain(`sealtrail config check ${join(dir, 'sealtrail.yaml')}`);
  expect(said).toContain(`sealtrail agent --config ${join(dir, 'sealtrail.yaml')}`);
});

test('init replaces nothing unless it is told to, and then writes neither file', async () => {
  await using dir = await makeTempDir();
  await writeFile(join(dir.path, 'vocabulary.json'), 'mine');
  const refused = await init(dir.path);
  expect(refused.code).toBe(1);
  expect(refused.said).toContain(join(dir.path, 'vocabulary.json'));
  expect(refused.said).toContain('--force');
  expect(await readdir(dir.path)).toEqual(['vocabulary.json']);
  expect(await readFile(join(dir.path, 'vocabulary.json'), 'utf8')).toBe('mine');

  expect((await init(dir.path, true)).code).toBe(0);
  const text = await readFile(join(dir.path, 'vocabulary.json'), 'utf8');
  expect(text).toBe(repositoryText('config/vocabulary.json'));
});

test('init says where it cannot write', async () => {
  await using dir = await makeTempDir();
  const file = join(dir.path, 'file');
  await writeFile(file, '');
  const { code, said } = await init(join(file, 'below'));
  expect(code).toBe(2);
  expect(said).toContain(`cannot write into ${join(file, 'below')}: ENOTDIR`);
  await mkdir(join(dir.path, 'sealtrail.yaml'));
  expect((await init(dir.path, true)).code).toBe(2);
});
