/**
 * The file sink: NDJSON, appended and on disk before a batch is confirmed, for a shipper that tails
 * the file. A file cannot tell a repeated record, so its confirmed length is kept with the cursor.
 * After a crash it may be longer; since documents are deterministic, what is sent again is compared
 * with what stands there and only the rest is appended. The file does not shrink on the way: a
 * shipper that sees a shorter file reads it again from the start.
 */
import { chmod, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nodeFilesystem, type Filesystem, type LedgerFile } from '../../../ledger/filesystem.ts';
import { codeOf, err, messageOf, ok, type Result } from '../../../schemas/result.ts';
import type { DeliveryRecord, DeliveryResult, Logger, Sink, SinkMark } from '../../ports.ts';
import { openForAppend } from '../appending.ts';
import { mapRecords, type DocumentFormat } from '../documents.ts';

export interface FileSinkOptions {
  readonly name: string;
  readonly path: string;
  readonly format: DocumentFormat;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly filesystem?: Filesystem;
}

/** Group may read: shippers run as another user. */
const FILE_MODE = 0o640;

/** Creates the sink; the file is opened, or made, when the sink takes its place. */
export function createFileSink(options: FileSinkOptions): Sink {
  const { name, path, format, log } = options;
  const filesystem = options.filesystem ?? nodeFilesystem;
  let file: LedgerFile | null = null;
  let inode = 0;
  /** Confirmed length. */
  let bytes = 0;
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
      behind = 'nothing';
    }
    if (behind === 'nothing') bytes = size;
    return opened;
  }

  async function restore(kept: SinkMark | null): Promise<Result<SinkMark, string>> {
    inode = kept?.['inode'] ?? 0;
    bytes = kept?.['bytes'] ?? 0;
    behind = 'replay';
    try {
      await close();
      await follow();
      return ok(current());
    } catch (error) {
      await close();
      return err(`cannot open ${path}: ${messageOf(error)}`);
    }
  }

  const current = (): SinkMark => ({ inode, bytes });

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
      await write(await follow(), Buffer.from(lines.join('')));
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

/** How many leading bytes two texts share. */
function commonLength(one: Buffer, other: Buffer): number {
  const length = Math.min(one.length, other.length);
  if (one.subarray(0, length).equals(other.subarray(0, length))) return length;
  let at = 0;
  while (one[at] === other[at]) at += 1;
  return at;
}
