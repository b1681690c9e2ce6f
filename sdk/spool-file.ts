/**
 * Files of the spool from the reader's side. Whoever may write to the folder may have put anything in
 * their place, so what is opened is looked at first: no links, no pipes, nothing endless.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, rm, rmdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../schemas/result.ts';
import { EVENT_BYTES_MAX } from '../schemas/wire.ts';
import { GROUP_LINES_MAX } from './append-file.ts';

/** A file that nobody writes to any more. */
export interface SealedFile {
  readonly path: string;
  readonly bytes: number;
}

/** A file is ended at this size, so that what is read into memory to be sent stays small. */
export const FILE_BYTES: number = 4 * 1024 * 1024;
/** It may pass that by one group. */
const READ_BYTES_MAX = FILE_BYTES + GROUP_LINES_MAX * (EVENT_BYTES_MAX + 64);

/** Reads a whole file. `gone`: there is none any more. `unfit`: it is none that a spool has written. */
export async function readSpoolFile(path: string): Promise<Buffer | 'gone' | 'unfit'> {
  const file = await openFile(path);
  if (typeof file === 'string') return file;
  try {
    const stat = await file.stat();
    return stat.isFile() && stat.size <= READ_BYTES_MAX ? await file.readFile() : 'unfit';
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<FileHandle | 'gone' | 'unfit'> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'gone';
    // A link, or a socket.
    if (codeOf(error) === 'ELOOP' || codeOf(error) === 'ENXIO') return 'unfit';
    throw error;
  }
}

/** The spool files of a folder, in the order in which they were written; none where it is gone. */
export async function listSpoolFiles(folder: string): Promise<readonly SealedFile[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith('.ndjson')).sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return { path, bytes: await sizeOf(path) };
    }),
  );
}

/** Removes a folder that its lock still holds, unless something is left in it. */
export async function removeSpoolFolder(folder: string): Promise<void> {
  if ((await namesIn(folder)).some((name) => name !== 'owner.json')) return;
  await rm(join(folder, 'owner.json'), { force: true });
  await rmdir(folder);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await lstat(path)).size;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
