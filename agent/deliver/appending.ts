/** Opens files that are appended to, so that a crash cannot take the name away again. */
import { dirname } from 'node:path';
import type { Filesystem, LedgerFile } from '../../ledger/filesystem.ts';

/**
 * Opens a file for appending, made when it is not there; its entry in the folder is durable then.
 * Rejects with the system's error, and leaves nothing open.
 */
export async function openForAppend(filesystem: Filesystem, path: string): Promise<LedgerFile> {
  const isThere = await filesystem.exists(path);
  const file = isThere ? await filesystem.open(path) : await filesystem.create(path);
  try {
    // Also for one that is there: the try that made it may have failed right here.
    await filesystem.syncDir(dirname(path));
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
