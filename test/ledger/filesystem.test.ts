/** What the seam to the disk promises: names that survive a crash, nothing left behind by a failure. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { createFaultyFilesystem } from '../support/faulty-filesystem.ts';
import { makeTempDir } from '../support/ledger.ts';

/** Paths below a folder, and itself, opened from here on: a folder is opened for nothing but its fsync. */
function watchOpens(below: string): string[] {
  const opened: string[] = [];
  const { open } = fsPromises;
  fsPromises.open = (path, ...rest) => {
    // Others in this process open files of their own.
    if (String(path).startsWith(below)) opened.push(String(path));
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
  const opened = watchOpens(temp.path);
  await nodeFilesystem.makeDir(join(temp.path, 'a', 'b', 'c'));
  expect(opened).toEqual([join(temp.path, 'a', 'b'), join(temp.path, 'a'), temp.path]);
  await nodeFilesystem.makeDir(join(temp.path, 'a', 'b', 'c'));
  expect(opened).toHaveLength(3);
});

test('a replacement that fails leaves the old file whole or the new one, and nothing beside it', async () => {
  const counting = createFaultyFilesystem(null);
  await using first = await makeTempDir();
  await counting.replace(join(first.path, 'file'), 'whole');
  expect(counting.operations).toEqual(
    ['remove', 'create', 'append', 'sync', 'rename', 'syncDir'].map((step) => `replace: ${step}`),
  );
  for (const at of counting.operations.keys()) {
    await using temp = await makeTempDir();
    const path = join(temp.path, 'file');
    await nodeFilesystem.replace(path, 'old');
    const filesystem = createFaultyFilesystem({ at, code: 'ENOSPC', tearTo: 3 });
    await expect(filesystem.replace(path, 'new file')).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await readdir(temp.path)).toEqual(['file']);
    const isRenamed = filesystem.operations[at] === 'replace: syncDir';
    expect(await readFile(path, 'utf8')).toBe(isRenamed ? 'new file' : 'old');
  }
});

test('what a crash left of a replacement does not hold up the next one', async () => {
  await using temp = await makeTempDir();
  await writeFile(join(temp.path, '.file.tmp'), 'half of someth');
  await nodeFilesystem.replace(join(temp.path, 'file'), 'whole');
  expect(await readdir(temp.path)).toEqual(['file']);
  expect(await readFile(join(temp.path, 'file'), 'utf8')).toBe('whole');
});
