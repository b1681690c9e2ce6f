/** What the seam to the disk promises: names that survive a crash, nothing left behind by a failure. */
import { mkdir, readdir, symlink } from 'node:fs/promises';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { makeTempDir } from '../support/ledger.ts';

/** Paths opened from here on: a folder is opened for nothing but its fsync. */
function watchOpens(): string[] {
  const opened: string[] = [];
  const { open } = fsPromises;
  fsPromises.open = (path, ...rest) => {
    opened.push(String(path));
    return open(path, ...rest);
  };
  syncBuiltinESMExports();
  onTestFinished(() => {
    fsPromises.open = open;
    syncBuiltinESMExports();
  });
  return opened;
}

test('a new folder is fsynced into the one above it, and so are those made with it', async () => {
  await using temp = await makeTempDir();
  const opened = watchOpens();
  await nodeFilesystem.makeDir(join(temp.path, 'a', 'b', 'c'));
  expect(opened).toEqual([join(temp.path, 'a', 'b'), join(temp.path, 'a'), temp.path]);
  await nodeFilesystem.makeDir(join(temp.path, 'a', 'b', 'c'));
  expect(opened).toHaveLength(3);
});

test('a replacement that fails to be written leaves nothing behind', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'reserve');
  // Takes writes only to refuse them for want of space.
  await symlink('/dev/full', join(temp.path, '.reserve.tmp'));
  await expect(nodeFilesystem.replace(path, new Uint8Array(4096))).rejects.toMatchObject({
    code: 'ENOSPC',
  });
  expect(await readdir(temp.path)).toEqual([]);
  await mkdir(join(temp.path, 'sub'));
  await nodeFilesystem.replace(path, 'whole');
  expect((await nodeFilesystem.readFile(path)).toString()).toBe('whole');
});
