/**
 * Recovery: what a ledger holds after any kind of stop. It folds the state from the newest kept
 * copy on, checks chain and hash of every record that it reads, and tells a torn tail from
 * corruption:
 *
 *   torn tail   only at the end of the last segment, no longer than one group commit: an incomplete
 *               last line, or a region that begins in pages which never reached the disk (NUL
 *               bytes, which no JSON text contains). Never acked. Set aside, cut off, recorded.
 *   corruption  anything else. Nothing is touched, the agent refuses to append and says where.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { parseJson } from '../schemas/canonical.ts';
import { GENESIS_PREV_HASH } from '../schemas/brand.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { hashRecord } from './chain.ts';
import type { Filesystem, LedgerFile } from './filesystem.ts';
import { splitRecord, type RecordText } from './frame.ts';
import { readFront } from './front.ts';
import { readLines, type Line } from './lines.ts';
import { listSegments, RESERVE_NAME, segmentName, stateName, tornName } from './segment.ts';
import { emptyState, foldRecord, parseState, type LedgerState } from './state.ts';

export interface TornTail {
  readonly segment: string;
  readonly byte: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Name of the file, beside the segment, that keeps the bytes. */
  readonly kept_in: string;
}

export interface Recovered {
  readonly state: LedgerState;
  /** First record number of the last segment; null in an empty ledger. */
  readonly segment: number | null;
  readonly segmentBytes: number;
  readonly ledgerBytes: number;
  readonly torn: TornTail | null;
  /** Why kept state was not used, one sentence each. */
  readonly notes: readonly string[];
}

export type RecoveryError =
  | {
      readonly kind: 'corruption';
      readonly segment: string;
      /** 1-based. */
      readonly line: number;
      readonly byte: number;
      readonly message: string;
    }
  | { readonly kind: 'io'; readonly message: string };

export interface RecoveryOptions {
  readonly dir: string;
  readonly filesystem: Filesystem;
  /** Upper bound of a torn tail: the largest group commit. */
  readonly batchBytesMax: number;
  /** Records to read at least, where there are so many, whatever the kept state says. */
  readonly recordsReadMin?: number;
  /** Sees each record that is read. */
  readonly onRecord?: (event: SealedEvent, text: RecordText) => void;
}

/** Recovers the ledger; the only change it makes is to cut off a torn tail. */
export async function recoverLedger(
  options: RecoveryOptions,
): Promise<Result<Recovered, RecoveryError>> {
  const { dir, filesystem } = options;
  try {
    await filesystem.makeDir(dir);
    const segments = listSegments(await filesystem.list(dir));
    const start = await findStart(options, segments);
    let bytesBefore = 0;
    for (const first of segments.slice(0, start.index)) bytesBefore += await sizeOf(options, first);
    return await replay(options, segments, start, bytesBefore);
  } catch (error) {
    return err({ kind: 'io', message: `cannot recover ${dir}: ${messageOf(error)}` });
  }
}

interface Start {
  readonly index: number;
  readonly state: LedgerState;
  readonly notes: readonly string[];
}

/**
 * The newest kept state that leaves enough records to read, the last two segments at least; the very
 * beginning where there is none.
 */
async function findStart(options: RecoveryOptions, segments: readonly number[]): Promise<Start> {
  const notes: string[] = [];
  const last = segments.at(-1) ?? 0;
  for (let index = segments.length - 2; index > 0; index--) {
    const first = segments[index] ?? 0;
    if (last - first < (options.recordsReadMin ?? 0)) continue;
    const path = join(options.dir, stateName(first));
    if (!(await options.filesystem.exists(path))) continue;
    const parsed = parseState((await options.filesystem.readFile(path)).toString('utf8'));
    if (parsed.ok && parsed.value.records === first) return { index, state: parsed.value, notes };
    notes.push(
      `${stateName(first)} was not used: ${parsed.ok ? 'it is of another segment' : parsed.error}`,
    );
  }
  // Older segments may have been removed; what the first one goes on from is beside it.
  const [first = 0] = segments;
  const front = first === 0 ? null : await readFront(options.filesystem, options.dir, first);
  return { index: 0, state: front?.state ?? emptyState(), notes };
}

async function sizeOf(options: RecoveryOptions, first: number): Promise<number> {
  const file = await options.filesystem.openRead(join(options.dir, segmentName(first)));
  try {
    return await file.size();
  } finally {
    await file.close();
  }
}

async function replay(
  options: RecoveryOptions,
  segments: readonly number[],
  start: Start,
  bytesBefore: number,
): Promise<Result<Recovered, RecoveryError>> {
  const { state, notes } = start;
  let ledgerBytes = bytesBefore;
  let segmentBytes = 0;
  let torn: TornTail | null = null;
  for (let index = start.index; index < segments.length; index++) {
    const first = segments[index] ?? 0;
    if (first !== state.records) {
      const message = `the segment begins with record ${first}, but the ledger before it ends at record ${state.records}`;
      return err({ kind: 'corruption', segment: segmentName(first), line: 1, byte: 0, message });
    }
    const read = await replaySegment(options, first, index === segments.length - 1, state);
    if (!read.ok) return read;
    segmentBytes = read.value.bytes;
    ledgerBytes += segmentBytes;
    torn = read.value.torn;
  }
  const segment = segments.at(-1) ?? null;
  return ok({ state, segment, segmentBytes, ledgerBytes, torn, notes });
}

async function replaySegment(
  options: RecoveryOptions,
  first: number,
  isLast: boolean,
  state: LedgerState,
): Promise<Result<{ bytes: number; torn: TornTail | null }, RecoveryError>> {
  const file = await options.filesystem.openRead(join(options.dir, segmentName(first)));
  try {
    const size = await file.size();
    let number = 0;
    for await (const lines of readLines(file, 0, size)) {
      for (const line of lines) {
        number += 1;
        const wrong = foldLine(line, state, options.onRecord);
        if (wrong === null) continue;
        if (isLast && (await isTorn(file, line, size, options.batchBytesMax))) {
          const torn = await setAside(options, file, first, line.start, size);
          return ok({ bytes: line.start, torn });
        }
        const where = { segment: segmentName(first), line: number, byte: line.start };
        return err({ kind: 'corruption', ...where, message: wrong });
      }
    }
    return ok({ bytes: size, torn: null });
  } finally {
    await file.close();
  }
}

/** Checks one line against the state and folds it in; returns what is wrong with it, or null. */
function foldLine(
  line: Line,
  state: LedgerState,
  onRecord: RecoveryOptions['onRecord'],
): string | null {
  if (!line.whole) return 'the last line has no end';
  const text = splitRecord(line.bytes.toString('utf8'));
  if (text === null) return 'the line is no record';
  if (hashRecord(text.prev_hash, text.eventText) !== text.this_hash) {
    return 'the event does not have the hash that the record states';
  }
  const event = readEvent(text.eventText);
  if (event === null) return 'the record holds no event';
  const head = state.streams.get(event.chain.stream);
  if (event.chain.seq !== (head?.next_seq ?? 0)) {
    return `stream ${event.chain.stream} goes on at seq ${head?.next_seq ?? 0}, the record has ${event.chain.seq}`;
  }
  if (text.prev_hash !== (head?.head_hash ?? GENESIS_PREV_HASH)) {
    return `seq ${event.chain.seq} of stream ${event.chain.stream} does not link to the record before it`;
  }
  foldRecord(state, event, text.this_hash);
  onRecord?.(event, text);
  return null;
}

/** The hash has just shown that it is what was sealed; null where that was no event. */
function readEvent(eventText: string): SealedEvent | null {
  try {
    const event = parseJson(eventText) as unknown as Partial<SealedEvent> | null;
    return typeof event?.chain?.stream === 'string' ? (event as SealedEvent) : null;
  } catch {
    // No JSON: the caller reports it with its place.
    return null;
  }
}

async function isTorn(
  file: LedgerFile,
  line: Line,
  size: number,
  batchBytesMax: number,
): Promise<boolean> {
  if (!line.whole) return size - line.start <= batchBytesMax;
  return size - line.start <= batchBytesMax && (await hasHole(file, line.start, size));
}

/** Whether pages of the tail never reached the disk: they read as NUL. */
async function hasHole(file: LedgerFile, start: number, end: number): Promise<boolean> {
  const bytes = Buffer.allocUnsafe(end - start);
  return bytes.subarray(0, await file.read(start, bytes)).includes(0);
}

async function setAside(
  options: RecoveryOptions,
  file: LedgerFile,
  first: number,
  byte: number,
  size: number,
): Promise<TornTail> {
  const { dir, filesystem } = options;
  const bytes = Buffer.alloc(size - byte);
  await file.read(byte, bytes);
  // The disk may be full; the tail then takes the place of the reserve.
  await filesystem.remove(join(dir, RESERVE_NAME));
  await filesystem.replace(join(dir, tornName(first, byte)), bytes);
  const segment = await filesystem.open(join(dir, segmentName(first)));
  try {
    await segment.truncate(byte);
    await segment.sync();
  } finally {
    await segment.close();
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return {
    segment: segmentName(first),
    byte,
    bytes: bytes.length,
    sha256,
    kept_in: tornName(first, byte),
  };
}
