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
  /** `put_off`: the agent refused it for now, and it has not been sent since. */
  state: 'queued' | 'sent' | 'put_off' | 'gone';
  /** Sent without a word of what became of it: what is said later may be of a second copy. */
  mayBeRecorded: boolean;
  /** True once its promise has been answered. */
  settled: boolean;
  putOffFor?: Refusal;
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
  readonly resent: boolean;
}

export interface BatchLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

/** A batch for an event that is tried again with its number. */
export function batchOfOne(seq: number, entry: OutboxEntry): Batch {
  return { firstSeq: seq, entries: [entry], bytes: entry.bytes + 1, number: 0, resent: true };
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
