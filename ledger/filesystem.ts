/**
 * The only seam between the ledger and node:fs, so that a test can fail or tear any single
 * operation. Every method rejects with the system's error (`code` set), as node:fs does.
 */
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { fdatasync, fstatSync, ftruncate, write, writeSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const SYNC_BYTES_MAX = 64 * 1024;

const writeAsync = promisify(write);
const fdatasyncAsync = promisify(fdatasync);
const ftruncateAsync = promisify(ftruncate);

export interface LedgerFile {
  /** Writes all bytes at the end of the file; may have written a part when it rejects. */
  append(bytes: Uint8Array): Promise<void>;
  datasync(): Promise<void>;
  /** fsync: data and metadata, for what datasync may leave out. */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  read(position: number, bytes: Uint8Array): Promise<number>;
  size(): Promise<number>;
  /** What the file has become, whoever changed it: its size, and how many names lead to it. */
  look(): { readonly bytes: number; readonly names: number };
  close(): Promise<void>;
}

export interface Filesystem {
  list(dir: string): Promise<string[]>;
  /** Creates a folder (0700) and those above it; their names survive a crash. */
  makeDir(dir: string): Promise<void>;
  /** Creates a file that MUST NOT exist yet, for appending. */
  create(path: string): Promise<LedgerFile>;
  /** Opens an existing file for appending and reading. */
  open(path: string): Promise<LedgerFile>;
  openRead(path: string): Promise<LedgerFile>;
  readFile(path: string): Promise<Buffer>;
  /** Durable replacement: temporary file, fsync, rename, fsync of the folder. */
  replace(path: string, bytes: Uint8Array | string): Promise<void>;
  /** Durable only after syncDir. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  syncDir(dir: string): Promise<void>;
}

function fileOf(handle: fs.FileHandle): LedgerFile {
  const { fd } = handle;
  return {
    append: async (bytes) => {
      // A short write is no error to the kernel: go on until it refuses.
      for (let at = 0; at < bytes.length;) {
        // A little goes to the page cache in less time than to another thread and back.
        at +=
          bytes.length <= SYNC_BYTES_MAX
            ? writeSync(fd, bytes, at)
            : (await writeAsync(fd, bytes, at, bytes.length - at, null)).bytesWritten;
      }
    },
    datasync: () => fdatasyncAsync(fd),
    sync: () => handle.sync(),
    truncate: (bytes) => ftruncateAsync(fd, bytes),
    read: async (position, bytes) =>
      (await handle.read(bytes, 0, bytes.length, position)).bytesRead,
    size: async () => (await handle.stat()).size,
    look: () => {
      const { size, nlink } = fstatSync(fd);
      return { bytes: size, names: nlink };
    },
    close: () => handle.close(),
  };
}

async function syncDir(dir: string): Promise<void> {
  const handle = await fs.open(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

type Steps = Pick<Filesystem, 'create' | 'remove' | 'rename' | 'syncDir'>;

/** A durable replacement out of the steps it is made of, so that a test can fail each one. */
export function replaceBy(steps: Steps): Filesystem['replace'] {
  async function write(path: string, bytes: Uint8Array): Promise<void> {
    const file = await steps.create(path);
    try {
      await file.append(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  return async (path, bytes) => {
    // Named after its target: two files of a folder may be replaced in the same moment.
    const temporary = join(dirname(path), `.${basename(path)}.tmp`);
    // A crash may have left one.
    await steps.remove(temporary);
    try {
      await write(temporary, typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
      await steps.rename(temporary, path);
    } catch (error) {
      // On a full disk half a file would take the last of the space.
      await steps.remove(temporary);
      throw error;
    }
    await steps.syncDir(dirname(path));
  };
}

const STEPS: Steps = {
  create: async (path) =>
    fileOf(
      await fs.open(
        path,
        constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
        0o600,
      ),
    ),
  rename: (from, to) => fs.rename(from, to),
  remove: (path) => fs.rm(path, { force: true }),
  syncDir,
};

/** The file system itself. */
export const nodeFilesystem: Filesystem = {
  ...STEPS,
  replace: replaceBy(STEPS),
  list: (dir) => fs.readdir(dir),
  makeDir: async (dir) => {
    const uppermost = await fs.mkdir(resolve(dir), { recursive: true, mode: 0o700 });
    // A new folder is an entry in the one above, which has to reach the disk as well.
    for (let at = resolve(dir); uppermost !== undefined; at = dirname(at)) {
      await syncDir(dirname(at));
      if (at === uppermost) return;
    }
  },
  open: async (path) => fileOf(await fs.open(path, constants.O_RDWR | constants.O_APPEND)),
  // A pipe in the place of a file would be waited for for ever.
  openRead: async (path) => fileOf(await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK)),
  readFile: (path) => fs.readFile(path),
  exists: async (path) => {
    const found = await fs.stat(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
    return found;
  },
};
