/**
 * Files that only grow, on the slow path: group commits (one write and one fdatasync for all that has
 * gathered while the last one ran), and files and folders whose names survive a crash.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What became of a line. */
export type Written =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly message: string;
      /** True: the disk failed, and what it has of the line could not be taken back. */
      readonly mayBeKept?: boolean;
    };

export interface GroupCommits {
  /** `done` is called once, when the line is on disk or is not. */
  write(line: Buffer, done: (written: Written) => void): void;
  /** Bytes of lines that wait. */
  waitingBytes(): number;
  /** Resolves once nothing waits. */
  whenIdle(): Promise<void>;
}

/** Lines of one commit at most. */
export const GROUP_LINES_MAX = 1024;

/** Gathers lines; `commit` makes a group of them durable, all or none, and MUST NOT reject. */
export function createGroupCommits(
  commit: (lines: readonly Buffer[]) => Promise<Written>,
): GroupCommits {
  let waiting: { readonly line: Buffer; readonly done: (written: Written) => void }[] = [];
  let bytes = 0;
  let isRunning = false;
  let idle: (() => void)[] = [];

  async function run(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) {
      const group = waiting.slice(0, GROUP_LINES_MAX);
      waiting = waiting.slice(GROUP_LINES_MAX);
      const written = await commit(group.map(({ line }) => line));
      for (const { line, done } of group) {
        bytes -= line.length;
        done(written);
      }
    }
    isRunning = false;
    for (const resolve of idle.splice(0)) resolve();
  }

  return {
    write(line, done) {
      waiting.push({ line, done });
      bytes += line.length;
      if (!isRunning) void run();
    },
    waitingBytes: () => bytes,
    whenIdle: () =>
      isRunning ? new Promise((resolve) => void idle.push(resolve)) : Promise.resolve(),
  };
}

/** Opens a file for appending, which only its owner may read; with `isNew` it MUST NOT exist. */
export async function openToAppend(path: string, isNew: boolean): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_EXCL, O_RDWR } = constants;
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT | (isNew ? O_EXCL : 0), 0o600);
  try {
    await syncFolder(dirname(path));
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Writes all of it and waits for the disk. */
export async function appendDurably(file: FileHandle, lines: readonly Buffer[]): Promise<number> {
  const bytes = Buffer.concat(lines);
  for (let at = 0; at < bytes.length;) {
    at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
  }
  await file.datasync();
  return bytes.length;
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
