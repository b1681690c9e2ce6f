/** The file that says on which port the embedded server listens. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { portFileOf, writePort } from '../../store/embedded-port.ts';
import { makeTempDir } from '../support/ledger.ts';

test('whoever waits for it never reads half of it', async () => {
  await using temp = await makeTempDir();
  let file = portFileOf(temp.path);
  const seen = new Set<string>();
  let isWatched = true;
  const look = (): void => {
    if (existsSync(file)) seen.add(readFileSync(file, 'utf8'));
    if (isWatched) setImmediate(look);
  };
  look();
  for (let n = 0; n < 50; n += 1) {
    file = portFileOf(join(temp.path, String(n)));
    await mkdir(dirname(file));
    await writePort(file, 5432);
  }
  isWatched = false;
  expect([...seen]).toEqual(['5432\n']);
});
