/** Published vectors and standards, kept beside the checkout and never copied into it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';

const SHARED = join(import.meta.dirname, '../../../shared');

/** Reads a file below ../shared. */
export function readShared(path: string): string {
  return readFileSync(join(SHARED, path), 'utf8');
}

/**
 * A suite over ../shared. In a stranger's clone, where the folder is absent, it says so and is
 * skipped; with SEALTRAIL_REQUIRE_ALL=1, as in CI, its absence fails.
 */
export function describeShared(name: string, body: () => void): void {
  const absent = !existsSync(SHARED);
  if (absent && process.env['SEALTRAIL_REQUIRE_ALL'] !== '1') {
    console.warn(`${name}: skipped, the published data of ../shared is not beside this checkout`);
    // Not describe.skip(name, body): that runs the body, which reads what is not there.
    test.skip(name, () => undefined);
    return;
  }
  describe(name, body);
}
