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

export interface Reader<T> {
  /** Next records, at least one where there is one below `upTo`; empty at the end. Never waits. */
  read(limits: ReadLimits): Promise<Result<readonly T[], ReadError>>;
  /** Number of the next record. */
  position(): number;
  close(): Promise<void>;
}

export type LedgerReader = Reader<LedgerRecord>;

/** What is made of a line, without its newline, whose bytes are its own only during the call; null: no record. */
export type ParseLine<T> = (line: Buffer, number: number) => T | null;

export interface ReaderOptions {
  readonly dir: string;
  readonly from: number;
  readonly filesystem?: Filesystem;
}

const NEWLINE = 0x0a;
const CHUNK_BYTES = 256 * 1024;
/** Chunks after which a line without an end is given up on: far beyond the largest record. */
const ADVANCES_MAX = 16;

/** Creates a reader that begins with record `from`. */
export function createLedgerReader(options: ReaderOptions): LedgerReader {
  return createReader(options, (line, number) => {
    const text = splitRecord(line.toString('utf8'));
    return text === null ? null : { number, ...text, bytes: line.length + 1 };
  });
}

/** Creates a reader of what `parse` makes of each line. */
export function createReader<T>(options: ReaderOptions, parse: ParseLine<T>): Reader<T> {
  const filesystem = options.filesystem ?? nodeFilesystem;
  let next = options.from;
  let file: LedgerFile | null = null;
  /** Where the next chunk of the open segment begins. */
  let byte = 0;
  /** Read from the file and not yet handed out: `ahead` from `aheadAt` to `aheadEnd`; used again and again. */
  let ahead: Buffer = Buffer.alloc(0);
  let aheadAt = 0;
  let aheadEnd = 0;
  /**
   * The durable count when `ahead` was filled. Bytes of records beyond it were in the file but not
   * yet fsynced; had that fsync failed, others would stand there now. So they are read again.
   */
  let trustedTo = 0;

  function takeLine(): Buffer | null {
    const newline = ahead.indexOf(NEWLINE, aheadAt);
    if (newline === -1 || newline >= aheadEnd) return null;
    const line = ahead.subarray(aheadAt, newline);
    aheadAt = newline + 1;
    return line;
  }

  /** Reads one more chunk; false at the end of the segment. */
  async function fill(upTo: number): Promise<boolean> {
    if (file === null) return false;
    const rest = aheadEnd - aheadAt;
    const whole = ahead;
    if (rest === ahead.length) ahead = Buffer.allocUnsafe(rest + CHUNK_BYTES);
    whole.copy(ahead, 0, aheadAt, aheadEnd);
    aheadAt = 0;
    aheadEnd = rest;
    const bytesRead = await file.read(byte, ahead.subarray(rest));
    if (bytesRead === 0) return false;
    byte += bytesRead;
    aheadEnd += bytesRead;
    // The rest of a line was read under the old count, so that count holds until it is handed out.
    trustedTo = rest === 0 ? upTo : Math.min(trustedTo, upTo);
    return true;
  }

  function rewind(): void {
    byte -= aheadEnd - aheadAt;
    aheadEnd = aheadAt;
  }

  /** Opens the segment that holds record `next` and moves to that record. */
  async function seek(upTo: number): Promise<ReadError | null> {
    await closeSegment();
    const segments = listSegments(await filesystem.list(options.dir));
    const first = segments.findLast((candidate) => candidate <= next);
    if (first === undefined) {
      const message = `no segment holds record ${next}: the ledger begins with record ${segments[0] ?? 0}`;
      return { kind: 'missing', message };
    }
    file = await filesystem.openRead(join(options.dir, segmentName(first)));
    byte = 0;
    for (let number = first; number < next;) {
      if (takeLine() !== null) number += 1;
      else if (!(await fill(upTo))) {
        return { kind: 'missing', message: `${segmentName(first)} ends before record ${next}` };
      }
    }
    return null;
  }

  async function closeSegment(): Promise<void> {
    const open = file;
    file = null;
    aheadEnd = aheadAt;
    await open?.close();
  }

  /** Makes the line of record `next` available to takeLine, in the next segment if need be. */
  async function advance(upTo: number): Promise<ReadError | null> {
    if (file !== null) {
      if (await fill(upTo)) return null;
      // This segment is at its end, and record `next` is durable: another one begins with it.
    }
    const failed = await seek(upTo);
    if (failed !== null) return failed;
    if (aheadAt < aheadEnd || (await fill(upTo))) return null;
    return { kind: 'missing', message: `record ${next} is not in the ledger` };
  }

  async function collect(limits: ReadLimits, records: T[]): Promise<ReadError | null> {
    let bytes = 0;
    let failures = 0;
    while (next < limits.upTo && records.length < limits.recordsMax && bytes < limits.bytesMax) {
      if (next >= trustedTo && aheadAt < aheadEnd) rewind();
      const line = takeLine();
      if (line === null) {
        const failed = await advance(limits.upTo);
        // A line is found after one chunk or 64 KiB of them; more tries mean that there is none.
        failures += 1;
        if (failed !== null) return failed;
        if (failures > ADVANCES_MAX)
          return { kind: 'missing', message: `record ${next} has no end` };
        continue;
      }
      failures = 0;
      const record = parse(line, next);
      if (record === null)
        return { kind: 'corruption', message: `record ${next} is no record line` };
      records.push(record);
      bytes += line.length + 1;
      next += 1;
    }
    return null;
  }

  async function read(limits: ReadLimits): Promise<Result<readonly T[], ReadError>> {
    const records: T[] = [];
    try {
      const failed = await collect(limits, records);
      if (failed === null) return ok(records);
      await closeSegment();
      return records.length > 0 ? ok(records) : err(failed);
    } catch (error) {
      await closeSegment();
      // What was read before it counts as handed out: it MUST be, or the next read would skip it.
      if (records.length > 0) return ok(records);
      return err({ kind: 'io', message: `cannot read the ledger: ${messageOf(error)}` });
    }
  }

  return { read, position: () => next, close: closeSegment };
}
