/**
 * The spool of one process: a locked folder with files that are appended to one after the other. A line is
 * kept once its group is fsynced. A file whose write failed is cut back and never written to again.
 */
import { mkdir, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../schemas/result.ts';
import { appendDurably, openToAppend, syncFolder, type Written } from './append-file.ts';
import { createEventIds } from './event-id.ts';
import { FILE_BYTES, removeSpoolFolder, type SealedFile } from './spool-file.ts';
import { encodeSpoolHeader } from './spool-format.ts';
import { lockFolder, type FolderLock } from './spool-owner.ts';

export interface SpoolWriter {
  /** Makes lines durable, all or none; never rejects. */
  append(lines: readonly Buffer[]): Promise<Written>;
  /** Ends the current file, if it has anything in it. */
  seal(): Promise<void>;
  /** Bytes and events of the current file. */
  current(): { readonly bytes: number; readonly events: number };
  /** Whether another process has taken the folder: nothing can be written there any more. */
  isLost(): boolean;
  /** Ends the current file and lets the folder go; it is removed where nothing is left in it. */
  close(): Promise<void>;
}

interface Current {
  readonly path: string;
  readonly file: FileHandle;
  bytes: number;
  events: number;
}

/** Creates the writer of a folder that does not exist yet; onSealed hears of each file to be sent. */
export function createSpoolWriter(
  folder: string,
  onSealed: (file: SealedFile) => void,
): SpoolWriter {
  const nextId = createEventIds();
  let lock: FolderLock | null = null;
  let current: Current | null = null;

  async function openFolder(): Promise<void> {
    if (lock !== null) {
      if (!lock.isHeld()) throw new Error('the folder of the spool was taken by another process');
      return;
    }
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Before the lock, which is the sign that all of this is done.
    await syncFolder(dirname(folder));
    lock = await lockFolder(folder);
    if (lock === null) throw new Error('the folder of the spool is held by another process');
  }

  async function openFile(): Promise<Current> {
    const id = nextId(Date.now());
    const path = join(folder, `${id}.ndjson`);
    const file = await openToAppend(path, true);
    try {
      return { path, file, bytes: await appendDurably(file, [encodeSpoolHeader(id)]), events: 0 };
    } catch (error) {
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
  }

  async function append(lines: readonly Buffer[]): Promise<Written> {
    try {
      await openFolder();
      current ??= await openFile();
      current.bytes += await appendDurably(current.file, lines);
      current.events += lines.length;
      if (current.bytes >= FILE_BYTES) await seal();
      return { ok: true };
    } catch (error) {
      const isCutBack = await abandon();
      return { ok: false, message: messageOf(error), mayBeKept: !isCutBack };
    }
  }

  async function seal(): Promise<void> {
    if (current === null) return;
    const { path, file, bytes, events } = current;
    current = null;
    // What is on disk is kept, whatever the closing says.
    if (events > 0) onSealed({ path, bytes });
    await file.close().catch((error: unknown) => warn(`closed: ${messageOf(error)}`));
    // One that stays is found again with the folder; a group's answer MUST NOT fail for it.
    if (events === 0)
      await rm(path, { force: true }).catch((error: unknown) =>
        warn(`removed: ${messageOf(error)}`),
      );
  }

  /** What the failed group left is cut off; where even that fails, a reader may find some of it: then false. */
  async function abandon(): Promise<boolean> {
    if (current === null) return true;
    const { file, bytes } = current;
    let isCutBack = true;
    try {
      await file.truncate(bytes);
      await file.datasync();
    } catch (error) {
      isCutBack = false;
      warn(`cut back: ${messageOf(error)}`);
    }
    await seal();
    return isCutBack;
  }

  async function close(): Promise<void> {
    await seal();
    try {
      if (lock?.isHeld() === true) await removeSpoolFolder(folder);
    } finally {
      await lock?.release();
      lock = null;
    }
  }

  return {
    append,
    seal,
    close,
    current: () => ({ bytes: current?.bytes ?? 0, events: current?.events ?? 0 }),
    isLost: () => lock !== null && !lock.isHeld(),
  };
}

function warn(what: string): void {
  process.emitWarning(`a spool file could not be ${what}`, {
    type: 'AuditWarning',
    code: 'SEALTRAIL_SPOOL_FAILED',
  });
}
