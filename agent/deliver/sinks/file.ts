/**
 * The file sink: NDJSON, appended and on disk before a batch is confirmed, for a shipper that tails
 * the file. A file cannot tell a repeated record, so its confirmed length is kept with the cursor.
 * After a crash it may be longer; since documents are deterministic, what is sent again is compared
 * with what stands there and only the rest is appended. The file does not shrink on the way: a
 * shipper that sees a shorter file reads it again from the start. With rotation (rotation.ts) the file
 * gives way to a new one between two batches.
 */
import { chmod, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nodeFilesystem, type Filesystem, type LedgerFile } from '../../../ledger/filesystem.ts';
import type { FileRotation } from '../../../schemas/exporter-config.ts';
import { codeOf, err, messageOf, ok, type Result } from '../../../schemas/result.ts';
import type { DeliveryRecord, DeliveryResult, Logger, Sink, SinkMark } from '../../ports.ts';
import { openForAppend } from '../appending.ts';
import { mapRecords, type DocumentFormat } from '../documents.ts';
import { commonLength, isDue, openPassage, prune, rotateAway, type Passage } from './rotation.ts';

export interface FileSinkOptions {
  readonly name: string;
  readonly path: string;
  readonly format: DocumentFormat;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly filesystem?: Filesystem;
  /** Absent: one file for ever. */
  readonly rotate?: FileRotation;
  readonly nowMs?: () => number;
}

/** Group may read: shippers run as another user. */
const FILE_MODE = 0o640;

/** Creates the sink; the file is opened, or made, when the sink takes its place. */
export function createFileSink(options: FileSinkOptions): Sink {
  const { name, path, format, log, rotate, nowMs = Date.now } = options;
  const filesystem = options.filesystem ?? nodeFilesystem;
  let file: LedgerFile | null = null;
  let inode = 0;
  /** Confirmed length. */
  let bytes = 0;
  /** When its first line was written, or it was first seen. */
  let sinceMs = nowMs();
  /** Files rotated away since the mark that was restored, while their end is being compared. */
  let passage: Passage | null = null;
  /**
   * What may stand behind it. replay: an earlier process's documents, to be compared. remains: what
   * a failed write left; it is cut off, since a failed fsync leaves pages that only look written.
   */
  let behind: 'nothing' | 'replay' | 'remains' = 'nothing';

  async function open(): Promise<LedgerFile> {
    await filesystem.makeDir(dirname(path));
    const isNew = !(await filesystem.exists(path));
    file = await openForAppend(filesystem, path);
    if (isNew) await chmod(path, FILE_MODE);
    return file;
  }

  async function close(): Promise<void> {
    const open = file;
    file = null;
    await open?.close();
  }

  /** Opens what the path names now, and goes on at its end unless it is the file known before. */
  async function follow(): Promise<LedgerFile> {
    const named = await inodeOf(path);
    if (file !== null && named !== inode) {
      log.info({ sink: name, path }, 'the file was moved away; a new one is begun');
      await close();
    }
    const opened = file ?? (await open());
    const found = await stat(path);
    const size = await opened.size();
    if (found.ino !== inode || size < bytes) {
      if (found.ino === inode) log.warn({ sink: name, path }, 'the file was cut by somebody else');
      inode = found.ino;
      bytes = size;
      sinceMs = nowMs();
      behind = 'nothing';
    }
    if (behind === 'replay' && size === bytes) behind = 'nothing';
    if (behind === 'nothing') bytes = size;
    return opened;
  }

  async function restore(kept: SinkMark | null): Promise<Result<SinkMark, string>> {
    inode = kept?.['inode'] ?? 0;
    bytes = kept?.['bytes'] ?? 0;
    sinceMs = kept?.['since_ms'] ?? nowMs();
    behind = 'replay';
    try {
      await close();
      await filesystem.makeDir(dirname(path));
      await findPassage();
      await follow();
      return ok(current());
    } catch (error) {
      await close();
      return err(`cannot open ${path}: ${messageOf(error)}`);
    }
  }

  /** The file of the mark may have been rotated away after the cursor was last saved. */
  async function findPassage(): Promise<void> {
    const named = await inodeOf(path);
    passage = named === inode ? null : await openPassage(filesystem, path, { inode, bytes });
    if (passage === null) return;
    // All of the file in use was written after the mark.
    inode = named ?? 0;
    bytes = 0;
  }

  const current = (): SinkMark => ({
    ...(passage?.place ?? { inode, bytes }),
    ...(rotate?.interval_minutes !== undefined && { since_ms: sinceMs }),
  });

  /** Puts the file, which is whole and on disk, away and begins a new one. */
  async function beginNew(keep: number | undefined): Promise<LedgerFile> {
    await close();
    await rotateAway(filesystem, path);
    const begun = await open();
    inode = (await stat(path)).ino;
    bytes = 0;
    sinceMs = nowMs();
    if (keep === undefined) return begun;
    try {
      await prune(filesystem, path, keep, nowMs());
    } catch (error) {
      // Files too many are no reason to hold up records; the next rotation tries again.
      log.warn({ sink: name, path, reason: messageOf(error) }, 'old files could not be removed');
    }
    return begun;
  }

  /** Appends what is not there yet. */
  async function write(target: LedgerFile, text: Buffer): Promise<void> {
    let there = 0;
    if (behind === 'remains') await target.truncate(bytes);
    if (behind === 'replay') {
      const standing = Buffer.alloc(text.length);
      const length = await target.read(bytes, standing);
      there = commonLength(standing.subarray(0, length), text);
      // Other documents: a mapping of another version wrote them.
      if (there < length) await target.truncate(bytes + there);
    }
    // Until all of a batch stands there, nothing behind it can.
    const isReplaying = behind === 'replay' && there === text.length;
    behind = 'remains';
    await target.append(text.subarray(there));
    await target.datasync();
    bytes += text.length;
    behind = isReplaying ? 'replay' : 'nothing';
  }

  async function deliver(records: readonly DeliveryRecord[]): Promise<DeliveryResult> {
    const { lines, poison } = await mapRecords(records, format);
    try {
      const text = Buffer.from(lines.join(''));
      const { rest, left } = (await passage?.skip(text)) ?? { rest: text, left: null };
      const opened = await follow();
      const isWhole = behind === 'nothing' && passage === null;
      const isOver = isWhole && rotate && isDue(rotate, { bytes, sinceMs }, rest.length, nowMs());
      // The age of a file is that of its first line.
      if (bytes === 0) sinceMs = nowMs();
      await write(isOver ? await beginNew(rotate.keep) : opened, rest);
      passage = left;
      return { kind: 'delivered', retry: [], poison };
    } catch (error) {
      await close();
      return { kind: 'failed', reason: `cannot write ${path}: ${messageOf(error)}` };
    }
  }

  return { name, deliver, place: { restore, current }, close };
}

/** Inode of what a path names; null for nothing. */
async function inodeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
