/**
 * Folders of processes that are gone: found, locked, and their files handed out to be sent. A folder is
 * removed and let go once all of its files are.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../schemas/result.ts';
import { isEventId } from './event-id.ts';
import { listSpoolFiles, removeSpoolFolder, type SealedFile } from './spool-file.ts';
import { lockFolder, type FolderLock } from './spool-owner.ts';

export interface SpoolClaims {
  /** Looks once through the spool; hands out the files of each folder that could be locked, in order. */
  scan(): Promise<readonly SealedFile[]>;
  /** A file that was handed out is gone. */
  finished(file: SealedFile): Promise<void>;
  /** Lets go what is not finished: another process may take it. */
  close(): Promise<void>;
}

interface Claim {
  readonly folder: string;
  readonly lock: FolderLock;
  readonly paths: Set<string>;
}

/** Creates the claims of a process; `isOwn` tells its own folders by name, `onFault` hears why one waits. */
export function createSpoolClaims(
  dir: string,
  isOwn: (name: string) => boolean,
  onFault: (error: unknown) => void,
): SpoolClaims {
  const claims = new Map<string, Claim>();

  async function scan(): Promise<readonly SealedFile[]> {
    const found: SealedFile[] = [];
    const entries = await readdir(dir, { withFileTypes: true });
    for (const { name } of entries.filter((entry) => entry.isDirectory()).sort(byName)) {
      if (!isEventId(name) || isOwn(name) || claims.has(name)) continue;
      try {
        found.push(...(await claim(name)));
      } catch (error) {
        // Another process has removed it meanwhile, or it cannot be read: that is no reason for the others to wait.
        if (codeOf(error) !== 'ENOENT') onFault(error);
      }
    }
    return found;
  }

  async function claim(name: string): Promise<readonly SealedFile[]> {
    const folder = join(dir, name);
    // Without a note of its owner it may be about to be locked.
    const names = await readdir(folder);
    if (!names.some((one) => one === 'owner.json' || one.endsWith('.ndjson'))) return [];
    const lock = await lockFolder(folder);
    if (lock === null) return [];
    const files = await listSpoolFiles(folder).catch(async (error: unknown) => {
      await lock.release();
      throw error;
    });
    claims.set(name, { folder, lock, paths: new Set(files.map(({ path }) => path)) });
    if (files.length === 0) await finish(name);
    return files;
  }

  async function finished(file: SealedFile): Promise<void> {
    for (const [name, { paths }] of claims) {
      if (paths.delete(file.path) && paths.size === 0) await finish(name);
    }
  }

  async function finish(name: string): Promise<void> {
    const claimed = claims.get(name);
    if (claimed === undefined) return;
    claims.delete(name);
    try {
      if (claimed.lock.isHeld()) await removeSpoolFolder(claimed.folder);
    } finally {
      await claimed.lock.release();
    }
  }

  async function close(): Promise<void> {
    for (const { lock } of claims.values()) await lock.release();
    claims.clear();
  }

  return { scan, finished, close };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
