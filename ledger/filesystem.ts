/**
 * The only seam between the ledger and node:fs, so that a test can fail or tear any single
 * operation. Every method rejects with the system's error (`code` set), as node:fs does.
 */
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { fdatasync, ftruncate, write, writeSync } from 'node:fs';
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

async function writeDurably(path: string, bytes: Uint8Array | string): Promise<void> {
  const handle = await fs.open(path, 'w', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The file system itself. */
export const nodeFilesystem: Filesystem = {
  list: (dir) => fs.readdir(dir),
  makeDir: async (dir) => {
    const uppermost = await fs.mkdir(resolve(dir), { recursive: true, mode: 0o700 });
    // A new folder is an entry in the one above, which has to reach the disk as well.
    for (let at = resolve(dir); uppermost !== undefined; at = dirname(at)) {
      await syncDir(dirname(at));
      if (at === uppermost) return;
    }
  },
  create: async (path) =>
    fileOf(
      await fs.open(
        path,
        constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
        0o600,
      ),
    ),
  open: async (path) => fileOf(await fs.open(path, constants.O_RDWR | constants.O_APPEND)),
  openRead: async (path) => fileOf(await fs.open(path, constants.O_RDONLY)),
  readFile: (path) => fs.readFile(path),
  replace: async (path, bytes) => {
    // Named after its target: two files of a folder may be replaced in the same moment.
    const temporary = join(dirname(path), `.${basename(path)}.tmp`);
    try {
      await writeDurably(temporary, bytes);
    } catch (error) {
      // On a full disk half a file would take the last of the space.
      await fs.rm(temporary, { force: true });
      throw error;
    }
    await fs.rename(temporary, path);
    await syncDir(dirname(path));
  },
  rename: (from, to) => fs.rename(from, to),
  remove: (path) => fs.rm(path, { force: true }),
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
  syncDir,
};
