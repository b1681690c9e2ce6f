/** What some tests need of the host; elsewhere they are skipped with a line, and in CI that fails. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';

/** `test` where the host can do it. SEALTRAIL_REQUIRE_ALL=1 turns the skip into a failure. */
export function testWhere(can: boolean, need: string): typeof test | typeof test.skip {
  if (can || process.env['SEALTRAIL_REQUIRE_ALL'] === '1') return test;
  console.warn(`skipped: ${need}`);
  return test.skip;
}

/** Whether strace is installed and may trace. */
export const hasStrace: boolean =
  spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;

/** Whether this process may mount file systems. */
export const mayMount: boolean =
  process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;

/** A file system of its own in memory, of this size; unmounted when the scope ends. */
export async function mountTmpfs(mebibytes: number): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'sealtrail-tmpfs-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path]);
  if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr.toString()}`);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      spawnSync('umount', ['--lazy', path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** Debian's browser; the pages are tested in it. */
export const CHROMIUM = '/usr/bin/chromium';
export const hasChromium: boolean = existsSync(CHROMIUM);

/** Whether text can be read out of a PDF (poppler-utils); where it must be, it counts as if it could. */
export function canReadPdf(): boolean {
  if (process.env['SEALTRAIL_REQUIRE_ALL'] === '1') return true;
  const can = spawnSync('pdftotext', ['-v']).error === undefined;
  if (!can) console.warn('skipped: the text of a PDF is not read back (needs poppler-utils)');
  return can;
}
