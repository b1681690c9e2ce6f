/**
 * What the outbox holds and the connection carries: entries (one event each, with the caller who
 * waits) and batches of them with adjoining producer numbers.
 */
import type { Receipt } from '../schemas/record.ts';
import type { Refusal } from '../schemas/refusal.ts';
import type { AuditError } from './errors.ts';

const LINE_END = 0x0a;

/** What record() resolves to: the event is redacted, chained and fsynced. */
export interface RecordReceipt extends Receipt {
  readonly event_id: string;
  /** True when a resend found the event acked before; it is in the ledger once. */
  readonly duplicate?: true;
}

export interface OutboxEntry {
  readonly event_id: string;
  readonly text: string;
  readonly bytes: number;
  /** On the monotonic clock, in milliseconds. */
  readonly deadlineMs: number;
  state: 'queued' | 'sent' | 'held' | 'gone';
  /** True once its promise has been answered. */
  settled: boolean;
  /** Why it is held. */
  heldFor?: Refusal;
  /** Answers the caller; called once. */
  answer(outcome: RecordReceipt | AuditError): void;
}

export interface Batch {
  readonly firstSeq: number;
  readonly entries: readonly OutboxEntry[];
  /** Bytes of the events, with their line ends. */
  readonly bytes: number;
  /** Number of the batch on its connection. */
  number: number;
  /** True once it may have reached an agent before. */
  resent: boolean;
}

export interface BatchLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

const RUN_EVENTS_MAX = 256;
const RUN_BYTES_MAX = 256 * 1024;

/** A batch for an event that is tried again with its number. */
export function batchOfOne(seq: number, entry: OutboxEntry): Batch {
  return { firstSeq: seq, entries: [entry], bytes: entry.bytes + 1, number: 0, resent: true };
}

/** Joins batches with adjoining numbers, within a modest size. */
export function joinRuns(batches: readonly Batch[]): Batch[] {
  const joined: Batch[] = [];
  for (const batch of batches) {
    const last = joined.at(-1);
    const fits =
      last !== undefined &&
      last.firstSeq + last.entries.length === batch.firstSeq &&
      last.entries.length + batch.entries.length <= RUN_EVENTS_MAX &&
      last.bytes + batch.bytes <= RUN_BYTES_MAX;
    if (!fits) {
      joined.push(batch);
      continue;
    }
    const entries = [...last.entries, ...batch.entries];
    joined[joined.length - 1] = { ...last, entries, bytes: last.bytes + batch.bytes };
  }
  return joined;
}

/**
 * Returns the payload of a BATCH frame. Built in place: the length of each text is known, and
 * joining strings first costs a copy.
 */
export function encodeBatch(batch: Batch): Uint8Array {
  const header = `{"batch":${batch.number},"first_seq":${batch.firstSeq}}\n`;
  const payload = Buffer.allocUnsafe(header.length + batch.bytes);
  let at = payload.write(header, 'latin1');
  for (const { text, bytes } of batch.entries) {
    at += payload.write(text, at, bytes === text.length ? 'latin1' : 'utf8');
    payload[at++] = LINE_END;
  }
  return payload;
}
