/**
 * What the send queue holds and the connection carries: entries (one event each, with the caller who
 * waits) and batches of them with adjoining producer numbers.
 */
import { allocateFrame } from '../schemas/wire-codec.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../schemas/wire.ts';
import type { Line } from './arena.ts';
import type { Receipt } from '../schemas/record.ts';
import type { Refusal } from '../schemas/refusal.ts';
import type { AuditContext } from './context.ts';
import type { PreparedEvent } from './draft.ts';
import type { AuditError } from './errors.ts';

/** What record() resolves to: the event is redacted, chained and fsynced. */
export interface RecordReceipt extends Receipt {
  readonly event_id: string;
  /** True when a resend found the event acked before; it is in the ledger once. */
  readonly duplicate?: true;
  /** Never there: tells a receipt from a SpooledReceipt. */
  readonly spooled?: undefined;
}

/**
 * What record() resolves to where a spool was asked for and the agent did not take the event of a
 * fail-open action in time: it is fsynced on this host, and nothing more. It is not chained, nobody else
 * has it yet, and it has no place and no hash.
 */
export interface SpooledReceipt {
  readonly event_id: string;
  readonly spooled: true;
  /** Why it is not acked. */
  readonly error: AuditError;
}

export interface QueueEntry {
  readonly event: PreparedEvent;
  /** On the monotonic clock, in milliseconds. */
  readonly deadlineMs: number;
  /** `put_off`: the agent refused it for now, and it has not been sent since. */
  state: 'queued' | 'sent' | 'put_off' | 'gone';
  /** Sent without a word of what became of it: what is said later may be of a second copy. */
  mayBeRecorded: boolean;
  /** True once its promise has been answered. */
  settled: boolean;
  putOffFor: Refusal | null;
  /** Let through by a breaker that is half open: it is not spooled. */
  readonly isProbe: boolean;
  /** From the outbox, which tries again itself. */
  readonly isRelayed: boolean;
  /** Kept in the spool by now: not to be sent again under its number. */
  isWithdrawn: boolean;
  /** The caller's, in which a failure is told. */
  readonly context: AuditContext;
  readonly resolve: (receipt: RecordReceipt | SpooledReceipt) => void;
  readonly reject: (error: AuditError) => void;
}

/** How an entry is treated, besides what its event says. */
export type EntryKind = 'recorded' | 'probe' | 'relayed';

/** An entry that waits to be sent; its caller is answered once. */
export function createEntry(
  event: PreparedEvent,
  deadlineMs: number,
  kind: EntryKind,
  context: AuditContext,
  answers: Pick<QueueEntry, 'resolve' | 'reject'>,
): QueueEntry {
  return {
    event,
    deadlineMs,
    state: 'queued',
    mayBeRecorded: false,
    settled: false,
    putOffFor: null,
    isProbe: kind === 'probe',
    isRelayed: kind === 'relayed',
    isWithdrawn: false,
    context,
    resolve: answers.resolve,
    reject: answers.reject,
  };
}

/** Bytes of an entry's line, newline included. */
export function lineBytes({ event }: QueueEntry): number {
  return event.end - event.start + 1;
}

export interface Batch {
  readonly firstSeq: number;
  readonly entries: readonly QueueEntry[];
  /** Bytes of the events, with their line ends. */
  readonly bytes: number;
  /** Number of the batch on its connection. */
  number: number;
  /** True once it may have reached an agent before. */
  readonly resent: boolean;
}

export interface BatchLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

/** A batch for an event that is tried again with its number. */
export function batchOfOne(seq: number, entry: QueueEntry): Batch {
  return { firstSeq: seq, entries: [entry], bytes: lineBytes(entry), number: 0, resent: true };
}

/** Takes the first batch off the list, joined with those whose numbers follow on, within limits. */
export function joinNext(batches: Batch[], limits: BatchLimits): Batch | null {
  const first = batches.shift();
  if (first === undefined) return null;
  const entries = [...first.entries];
  let bytes = first.bytes;
  for (let next = batches[0]; next !== undefined; next = batches[0]) {
    const follows = first.firstSeq + entries.length === next.firstSeq;
    const fits =
      entries.length + next.entries.length <= limits.eventsMax &&
      bytes + next.bytes <= limits.bytesMax;
    if (!follows || !fits) break;
    entries.push(...next.entries);
    bytes += next.bytes;
    batches.shift();
  }
  return { ...first, entries, bytes };
}

/** Returns the BATCH frame. Lines that stand side by side in the arena are copied together. */
export function encodeBatch(batch: Batch): Buffer {
  const header = `{"batch":${batch.number},"first_seq":${batch.firstSeq}}\n`;
  const frame = allocateFrame(FrameType.batch, header.length + batch.bytes);
  let at = FRAME_HEADER_BYTES;
  at += frame.write(header, at, 'latin1');
  let run: Line | null = null;
  let end = 0;
  for (const { event: line } of batch.entries) {
    if (run !== null && (line.bytes !== run.bytes || line.start !== end)) {
      at += run.bytes.copy(frame, at, run.start, end);
      run = null;
    }
    run ??= line;
    end = line.end + 1;
  }
  run?.bytes.copy(frame, at, run.start, end);
  return frame;
}
