/** A demonstration is put over nothing that is somebody's. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeDemo } from '../../demo/demo.ts';
import { makeTempDir } from '../support/ledger.ts';

test.each(['ledger', 'sealtrail.yaml', 'postgres'])(
  'a directory that holds %s stays as it is',
  async (name) => {
    await using temp = await makeTempDir();
    const path = join(temp.path, name);
    const file = name === 'sealtrail.yaml' ? path : join(path, 'theirs');
    if (file !== path) await mkdir(path);
    await writeFile(file, 'theirs');
    const made = await makeDemo({ dataDir: temp.path, seed: 1, month: '2026-02' } as never);
    expect(made).toMatchObject({
      ok: false,
      error: expect.stringContaining(`holds ${name} already`) as string,
    });
    expect(await readFile(file, 'utf8')).toBe('theirs');
  },
);
