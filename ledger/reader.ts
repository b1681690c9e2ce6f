/**
 * The ledger reader: records from a number on, over all segments, for delivery and retention. It
 * reads only below `upTo`, the durable count, so no sink sees a record before its fsync.
 */
import { join } from 'node:path';
import type { ChainHash } from '../schemas/brand.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { nodeFilesystem, type Filesystem, type LedgerFile } from './filesystem.ts';
import { splitRecord } from './frame.ts';
import { listSegments, segmentName } from './segment.ts';

export interface LedgerRecord {
  /** Place in the ledger over all streams, 0-based. */
  readonly number: number;
  readonly eventText: string;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
  /** Length of the line. */
  readonly bytes: number;
}

export interface ReadLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
  /** Records at and beyond this number are not read. */
  readonly upTo: number;
}

export interface ReadError {
  readonly kind: 'corruption' | 'io' | 'missing';
  readonly message: string;
}

export interface LedgerReader {
  /** Next records, at least one where there is one below `upTo`; empty at the end. Never waits. */
  read(limits: ReadLimits): Promise<Result<readonly LedgerRecord[], ReadError>>;
  /** Number of the next record. */
  position(): number;
  close(): Promise<void>;
}

const NEWLINE = 0x0a;
const CHUNK_BYTES = 256 * 1024;

/** Creates a reader that begins with record `from`. */
export function createLedgerReader(options: {
  readonly dir: string;
  readonly from: number;
  readonly filesystem?: Filesystem;
}): LedgerReader {
  const filesystem = options.filesystem ?? nodeFilesystem;
  let next = options.from;
  let file: LedgerFile | null = null;
  /** Record number at which the open segment ends, once a later one is known. */
  let byte = 0;
  let pending: Buffer = Buffer.alloc(0);

  /** Opens the segment that holds record `next` and moves to that record. */
  async function seek(): Promise<ReadError | null> {
    const segments = listSegments(await filesystem.list(options.dir));
    const first = segments.findLast((candidate) => candidate <= next);
    if (first === undefined) return { kind: 'missing', message: `no segment holds record ${next}` };
    file = await filesystem.openRead(join(options.dir, segmentName(first)));
    byte = 0;
    pending = Buffer.alloc(0);
    for (let number = first; number < next; number++) {
      if ((await takeLine()) === null) {
        return { kind: 'missing', message: `${segmentName(first)} ends before record ${next}` };
      }
    }
    return null;
  }

  /** The next whole line of the open segment; null at its end. */
  async function takeLine(): Promise<Buffer | null> {
    let searchFrom = 0;
    for (;;) {
      const newline = pending.indexOf(NEWLINE, searchFrom);
      if (newline !== -1) {
        const line = pending.subarray(0, newline);
        pending = pending.subarray(newline + 1);
        return line;
      }
      searchFrom = pending.length;
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const bytesRead = file === null ? 0 : await file.read(byte, chunk);
      if (bytesRead === 0) return null;
      byte += bytesRead;
      pending =
        pending.length === 0
          ? chunk.subarray(0, bytesRead)
          : Buffer.concat([pending, chunk.subarray(0, bytesRead)]);
    }
  }

  /** Drops what was read ahead: a later read sees the bytes that are durable by then. */
  async function closeSegment(): Promise<void> {
    const open = file;
    file = null;
    pending = Buffer.alloc(0);
    await open?.close();
  }

  async function takeRecord(): Promise<Result<LedgerRecord, ReadError>> {
    if (file === null) {
      const failed = await seek();
      if (failed !== null) return err(failed);
    }
    let line = await takeLine();
    if (line === null) {
      // This segment is at its end, and record `next` is durable: it begins another one.
      await closeSegment();
      const failed = await seek();
      if (failed !== null) return err(failed);
      line = await takeLine();
    }
    if (line === null)
      return err({ kind: 'missing', message: `record ${next} is not in the ledger` });
    const text = splitRecord(line.toString('utf8'));
    if (text === null)
      return err({ kind: 'corruption', message: `record ${next} is no record line` });
    return ok({ number: next, ...text, bytes: line.length + 1 });
  }

  async function read(limits: ReadLimits): Promise<Result<readonly LedgerRecord[], ReadError>> {
    const records: LedgerRecord[] = [];
    let bytes = 0;
    try {
      while (next < limits.upTo && records.length < limits.recordsMax && bytes < limits.bytesMax) {
        const record = await takeRecord();
        if (!record.ok) {
          await closeSegment();
          return records.length > 0 ? ok(records) : record;
        }
        records.push(record.value);
        bytes += record.value.bytes;
        next += 1;
      }
      return ok(records);
    } catch (error) {
      await closeSegment();
      return err({ kind: 'io', message: `cannot read the ledger: ${messageOf(error)}` });
    }
  }

  return { read, position: () => next, close: closeSegment };
}
