/** A checkout after the first of the README's commands. */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CLI } from '../support/agent-process.ts';

test('npx finds the command where it looks first, whatever it found before the build', async () => {
  const found = await realpath(join(import.meta.dirname, '../../node_modules/.bin/sealtrail'));
  expect(found).toBe(await realpath(CLI));
});
