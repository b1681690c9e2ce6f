/**
 * The send queue: every event between record() and its ack, in order, with the producer's numbers.
 * No I/O and no timers; delivery.ts drives it.
 *
 *   queued --takeBatch--> in flight --ack--> gone
 *     ^                     |   `--nack "later", disconnect--> resend --takeBatch--> in flight
 *     `--nack "passed"------'                                  (with the same number)
 *
 * A number is given when an event is first sent, and the agent appends each number once: sending
 * it again is always safe. Should later numbers have got in before one that was put off, the agent
 * says that it has passed that number and has no record of it; the event then gets a new one.
 */
import { RETRYABLE_KINDS, type Refusal } from '../schemas/refusal.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import type { Ack, Rejection } from '../schemas/wire.ts';
import { readAck } from './ack.ts';
import { batchOfOne, joinNext, lineBytes } from './batch.ts';
import type { Batch, BatchLimits, QueueEntry, RecordReceipt } from './batch.ts';
import type { AuditError } from './errors.ts';
import { errorOfRefusal } from './failure.ts';
import { createFifo } from './fifo.ts';

export interface AckEffect {
  readonly accepted: number;
  /** Refused for good; what was put off is not among them. */
  readonly refused: number;
}

export interface SendQueue {
  /** Events held here: queued, in flight, or to be sent again. */
  size(): number;
  /** Bytes of their texts. */
  bytes(): number;
  inFlightBatches(): number;
  /** Whether takeBatch has something to give. */
  hasWork(): boolean;
  /** Whether the agent put something off: nothing leaves until resume() or disconnected(). */
  isPaused(): boolean;
  /** Why the agent put an event off, when it has taken none since and some still wait; else null. */
  putOffFor(): Refusal | null;
  add(entry: QueueEntry): void;
  /**
   * Removes an entry that is kept elsewhere by now, whatever its state. One under way may be acked yet;
   * after the connection it is not sent again, and the agent is told of its number.
   */
  withdraw(entry: QueueEntry): void;
  /** Forgets what was withdrawn; call it with no connection open. */
  forgetWithdrawn(): void;
  /** Removes an entry that is queued or put off: its caller was told that it is not recorded. */
  drop(entry: QueueEntry): void;
  /** The next batch to send, now in flight; null when there is none. */
  takeBatch(batchNumber: number, limits: BatchLimits): Batch | null;
  /** Applies an ACK to the oldest batch in flight, whole or (on an error) not at all. */
  applyAck(value: unknown): Result<AckEffect, string>;
  /** The connection is gone: what was in flight or put off is sent again, in order. */
  disconnected(): void;
  resume(): void;
  /** First number of the batch that would be sent again first; null when there is none. */
  resendHead(): number | null;
  /** Gives that batch up. */
  refuseHead(refusal: Refusal): void;
  /** Numbers refused since the last accepted one, rising; the agent is told of them. */
  tellRefused(): readonly number[];
  /** Whether the agent has to be told of a number before it sees a later one. */
  mustTellRefused(): boolean;
}

/** Refused numbers told to the agent at most; beyond, the oldest show as a gap. */
const REFUSED_NUMBERS_MAX = 10_000;

/** Creates an empty queue; `answer` is called once for each entry that is not answered otherwise. */
export function createSendQueue(
  answer: (entry: QueueEntry, outcome: RecordReceipt | AuditError) => void,
): SendQueue {
  const queue = createFifo<QueueEntry>();
  const inFlight = createFifo<Batch>();
  /** By rising number. What is put off stands alone in its batch until it is sent again. */
  let resend: Batch[] = [];
  let paused = false;
  let refused: number[] = [];
  let isTold = true;
  let nextSeq = 0;
  let lastAccepted = -1;
  let withdrawn = false;
  let lastPutOff: Refusal | null = null;
  let size = 0;
  let bytesHeld = 0;

  function add(entry: QueueEntry): void {
    size += 1;
    bytesHeld += lineBytes(entry);
    queue.push(entry);
  }

  function discard(entry: QueueEntry): void {
    entry.state = 'gone';
    size -= 1;
    bytesHeld -= lineBytes(entry);
  }

  function drop(entry: QueueEntry): void {
    if (entry.state === 'put_off') {
      const at = resend.findIndex(({ entries }) => entries[0] === entry);
      for (const { firstSeq } of resend.splice(at, 1)) noteRefused(firstSeq);
      isTold = false;
    }
    discard(entry);
    nextQueued();
  }

  function withdraw(entry: QueueEntry): void {
    if (entry.state !== 'sent') return drop(entry);
    entry.isWithdrawn = true;
    withdrawn = true;
  }

  function forgetWithdrawn(): void {
    if (!withdrawn) return;
    withdrawn = false;
    const left: Batch[] = [];
    for (const { firstSeq, entries } of resend) {
      for (const [index, entry] of entries.entries()) {
        if (!entry.isWithdrawn) {
          left.push(batchOfOne(firstSeq + index, entry));
          continue;
        }
        noteRefused(firstSeq + index);
        discard(entry);
      }
    }
    resend = left;
  }

  function noteRefused(seq: number): void {
    if (seq < lastAccepted) return;
    refused.push(seq);
    if (refused.length > REFUSED_NUMBERS_MAX) refused.shift();
  }

  /** Skips what timed out while it waited; it has no number yet, so this leaves no gap. */
  function nextQueued(): QueueEntry | undefined {
    while (queue.peek()?.state === 'gone') queue.shift();
    return queue.peek();
  }

  function numberBatch(limits: BatchLimits): Batch | null {
    const entries: QueueEntry[] = [];
    let bytes = 0;
    while (entries.length < limits.eventsMax) {
      const entry = nextQueued();
      if (entry === undefined) break;
      if (entries.length > 0 && bytes + lineBytes(entry) > limits.bytesMax) break;
      queue.shift();
      entries.push(entry);
      bytes += lineBytes(entry);
    }
    if (entries.length === 0) return null;
    const batch = { firstSeq: nextSeq, entries, bytes, number: 0, resent: false };
    nextSeq += entries.length;
    return batch;
  }

  function takeBatch(batchNumber: number, limits: BatchLimits): Batch | null {
    // Later numbers must not overtake what was put off.
    if (paused) return null;
    const batch = joinNext(resend, limits) ?? numberBatch(limits);
    if (batch === null) return null;
    batch.number = batchNumber;
    for (const entry of batch.entries) entry.state = 'sent';
    inFlight.push(batch);
    return batch;
  }

  function applyAck(value: unknown): Result<AckEffect, string> {
    const batch = inFlight.peek();
    if (batch === undefined) return err('an ACK answers no batch');
    const read = readAck(value, batch.number, batch.entries.length);
    if (!read.ok) return read;
    inFlight.shift();
    const accepted = settleAccepted(batch, read.value);
    if (accepted > 0) lastPutOff = null;
    return ok({ accepted, refused: settleRejected(batch, read.value.rejected) });
  }

  function settleAccepted(batch: Batch, ack: Ack): number {
    let accepted = 0;
    for (const [index, entry] of batch.entries.entries()) {
      const receipt = ack.receipts[index];
      if (receipt === null || receipt === undefined) continue;
      accepted += 1;
      lastAccepted = Math.max(lastAccepted, batch.firstSeq + index);
      discard(entry);
      if (entry.settled) continue;
      const [stream, seq, this_hash] = receipt;
      const whole = {
        event_id: entry.event.event_id,
        stream: ack.streams[stream] ?? '',
        seq,
        this_hash,
      };
      answer(entry, receipt.length === 4 ? { ...whole, duplicate: true } : whole);
    }
    if (accepted > 0 && refused.length > 0) refused = refused.filter((seq) => seq > lastAccepted);
    return accepted;
  }

  /** Returns how many were refused for good. */
  function settleRejected(batch: Batch, rejected: readonly Rejection[]): number {
    const renumbered: QueueEntry[] = [];
    const putOff: Batch[] = [];
    let count = 0;
    for (const rejection of rejected) {
      const entry = batch.entries[rejection.index];
      if (entry === undefined) continue;
      const seq = batch.firstSeq + rejection.index;
      // A disk that failed may have kept it all the same.
      if (rejection.kind === 'storage_failed') entry.mayBeRecorded = true;
      if (!entry.settled && RETRYABLE_KINDS.has(rejection.kind)) {
        entry.state = 'put_off';
        entry.putOffFor = rejection;
        lastPutOff = rejection;
        putOff.push(batchOfOne(seq, entry));
        continue;
      }
      noteRefused(seq);
      if (!entry.settled && batch.resent && rejection.kind === 'protocol_error') {
        entry.state = 'queued';
        entry.mayBeRecorded = false;
        renumbered.push(entry);
        continue;
      }
      count += 1;
      discard(entry);
      const recorded = entry.mayBeRecorded ? 'unknown' : 'no';
      if (!entry.settled) answer(entry, errorOfRefusal(rejection, recorded));
    }
    queue.prepend(renumbered);
    if (putOff.length > 0) {
      paused = true;
      sendAgain(putOff);
    }
    return count;
  }

  function sendAgain(batches: readonly Batch[]): void {
    resend = [...batches, ...resend].sort((a, b) => a.firstSeq - b.firstSeq);
  }

  function disconnected(): void {
    const interrupted: Batch[] = [];
    for (let batch = inFlight.shift(); batch !== undefined; batch = inFlight.shift()) {
      for (const entry of batch.entries) entry.mayBeRecorded = true;
      interrupted.push({ ...batch, resent: true });
    }
    sendAgain(interrupted);
    paused = false;
  }

  function refuseHead(why: Refusal): void {
    const batch = resend.shift();
    for (const [index, entry] of (batch?.entries ?? []).entries()) {
      noteRefused((batch?.firstSeq ?? 0) + index);
      discard(entry);
      if (!entry.settled) answer(entry, errorOfRefusal(why, 'unknown'));
    }
  }

  return {
    size: () => size,
    bytes: () => bytesHeld,
    inFlightBatches: () => inFlight.length(),
    hasWork: () => !paused && (resend.length > 0 || nextQueued() !== undefined),
    isPaused: () => paused,
    putOffFor: () => (size > 0 ? lastPutOff : null),
    add,
    drop,
    withdraw,
    forgetWithdrawn,
    takeBatch,
    applyAck,
    disconnected,
    resume: () => {
      paused = false;
    },
    resendHead: () => resend[0]?.firstSeq ?? null,
    refuseHead,
    tellRefused: () => {
      isTold = true;
      return refused.toSorted((a, b) => a - b);
    },
    mustTellRefused: () => !isTold,
  };
}
