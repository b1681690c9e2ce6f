/**
 * The outbox: every event between record() and its ack, in order, with the producer's numbers.
 * No I/O and no timers; delivery.ts drives it.
 *
 *   queued --takeBatch--> in flight --ack--> gone
 *                           |    `--nack "later"--> held --> again with its number, or a new one
 *                           `--disconnect--> resend --takeBatch--> in flight (same number)
 *
 * A number is given when an event is first sent. The agent remembers the last number it
 * appended, so a held number is used again only while no later one was accepted; otherwise the
 * agent would take it for a duplicate and the event would be lost.
 */
import { RETRYABLE_KINDS, type Refusal } from '../schemas/refusal.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import type { Ack, Rejection } from '../schemas/wire.ts';
import { readAck } from './ack.ts';
import { batchOfOne, joinRuns } from './batch.ts';
import type { Batch, BatchLimits, OutboxEntry } from './batch.ts';
import { errorOfRefusal } from './failure.ts';
import { createFifo } from './fifo.ts';

export interface AckEffect {
  readonly accepted: number;
  readonly refused: number;
  readonly held: number;
}

export interface Outbox {
  /** Events held here: queued, in flight, to be resent, or held back. */
  size(): number;
  inFlightBatches(): number;
  /** Whether takeBatch has something to give. */
  hasWork(): boolean;
  hasHeld(): boolean;
  add(entry: OutboxEntry): void;
  /** Removes a queued entry that will not be sent. */
  dropQueued(entry: OutboxEntry): void;
  /** The next batch to send, now in flight; null when there is none. */
  takeBatch(batchNumber: number, limits: BatchLimits): Batch | null;
  /** Applies an ACK to the oldest batch in flight, whole or (on an error) not at all. */
  applyAck(value: unknown): Result<AckEffect, string>;
  /** The connection is gone: what was in flight is sent again, in order, same numbers. */
  disconnected(): void;
  /** Readies held events for another try; possible once nothing is in flight or to be resent. */
  releaseHeld(): void;
  /** First number of the batch that a new connection would send first; null when none. */
  resendHead(): number | null;
  /** Gives up the batch that a new connection would send first. */
  refuseHead(refusal: Refusal): void;
  /** Numbers refused since the last accepted one, rising. */
  refusedNumbers(): readonly number[];
}

/** Refused numbers told to the agent at most; beyond, the oldest show as a gap. */
const REFUSED_NUMBERS_MAX = 10_000;

interface HeldEntry {
  readonly seq: number;
  /** True where the agent will not take this number again. */
  readonly burned: boolean;
  readonly entry: OutboxEntry;
}

/** Creates an empty outbox. */
export function createOutbox(): Outbox {
  const queue = createFifo<OutboxEntry>();
  const inFlight = createFifo<Batch>();
  let resend: Batch[] = [];
  let held: HeldEntry[] = [];
  let refused: number[] = [];
  let nextSeq = 0;
  let lastAccepted = -1;
  let size = 0;

  function discard(entry: OutboxEntry): void {
    entry.state = 'gone';
    size -= 1;
  }

  function noteRefused(seq: number): void {
    if (seq < lastAccepted) return;
    refused.push(seq);
    if (refused.length > REFUSED_NUMBERS_MAX) refused.shift();
  }

  function add(entry: OutboxEntry): void {
    size += 1;
    queue.push(entry);
  }

  /** Skips what timed out while it waited; it has no number yet, so this leaves no gap. */
  function nextQueued(): OutboxEntry | undefined {
    while (queue.peek()?.state === 'gone') queue.shift();
    return queue.peek();
  }

  function dropQueued(entry: OutboxEntry): void {
    discard(entry);
    nextQueued();
  }

  function numberBatch(batchNumber: number, limits: BatchLimits): Batch | null {
    const entries: OutboxEntry[] = [];
    let bytes = 0;
    while (entries.length < limits.eventsMax) {
      const entry = nextQueued();
      if (entry === undefined) break;
      if (entries.length > 0 && bytes + entry.bytes + 1 > limits.bytesMax) break;
      queue.shift();
      entry.state = 'sent';
      entries.push(entry);
      bytes += entry.bytes + 1;
    }
    if (entries.length === 0) return null;
    const batch = { firstSeq: nextSeq, entries, bytes, number: batchNumber, resent: false };
    nextSeq += entries.length;
    return batch;
  }

  function takeBatch(batchNumber: number, limits: BatchLimits): Batch | null {
    const again = resend.shift();
    // While events are held back, later ones must not overtake them.
    if (again === undefined && held.length > 0) return null;
    const batch = again ?? numberBatch(batchNumber, limits);
    if (batch === null) return null;
    batch.number = batchNumber;
    inFlight.push(batch);
    return batch;
  }

  function applyAck(value: unknown): Result<AckEffect, string> {
    const batch = inFlight.peek();
    if (batch === undefined) return err('an ACK answers no batch');
    const read = readAck(value, batch.number, batch.entries.length);
    if (!read.ok) return read;
    inFlight.shift();
    return ok(settle(batch, read.value));
  }

  function settle(batch: Batch, ack: Ack): AckEffect {
    let accepted = 0;
    for (const [index, entry] of batch.entries.entries()) {
      const receipt = ack.receipts[index];
      if (receipt === null || receipt === undefined) continue;
      accepted += 1;
      lastAccepted = batch.firstSeq + index;
      discard(entry);
      if (entry.settled) continue;
      const [stream, seq, this_hash] = receipt;
      const whole = { event_id: entry.event_id, stream: ack.streams[stream] ?? '', seq, this_hash };
      entry.answer(receipt.length === 4 ? { ...whole, duplicate: true } : whole);
    }
    if (accepted > 0 && refused.length > 0) refused = refused.filter((seq) => seq > lastAccepted);
    const heldBefore = held.length;
    for (const rejection of ack.rejected) reject(batch, rejection);
    const heldNow = held.length - heldBefore;
    return { accepted, refused: ack.rejected.length - heldNow, held: heldNow };
  }

  function reject(batch: Batch, rejection: Rejection): void {
    const entry = batch.entries[rejection.index];
    if (entry === undefined) return;
    const seq = batch.firstSeq + rejection.index;
    // A resent number that the agent has passed, and has no record of, is refused like this: the
    // event is in no ledger, and goes out again under a new number.
    const burned = batch.resent && rejection.kind === 'protocol_error';
    if (burned) noteRefused(seq);
    if ((burned || RETRYABLE_KINDS.has(rejection.kind)) && !entry.settled) {
      entry.state = 'held';
      entry.heldFor = rejection;
      held.push({ seq, burned, entry });
      return;
    }
    if (!burned) noteRefused(seq);
    discard(entry);
    if (!entry.settled) entry.answer(errorOfRefusal(rejection));
  }

  function releaseHeld(): void {
    if (inFlight.length() > 0 || resend.length > 0) return;
    const renumbered: OutboxEntry[] = [];
    held.sort((a, b) => a.seq - b.seq);
    for (const { seq, burned, entry } of held) {
      if (entry.settled) {
        if (!burned) noteRefused(seq);
        discard(entry);
      } else if (!burned && seq > lastAccepted) {
        entry.state = 'sent';
        resend.push(batchOfOne(seq, entry));
      } else {
        entry.state = 'queued';
        renumbered.push(entry);
      }
    }
    held = [];
    queue.prepend(renumbered);
    resend = joinRuns(resend);
  }

  function disconnected(): void {
    // Batches not yet sent again follow those that were already.
    const again: Batch[] = [];
    for (let batch = inFlight.shift(); batch !== undefined; batch = inFlight.shift()) {
      batch.resent = true;
      again.push(batch);
    }
    resend = [...again, ...resend];
  }

  function refuseHead(why: Refusal): void {
    const batch = resend.shift();
    for (const [index, entry] of (batch?.entries ?? []).entries()) {
      noteRefused((batch?.firstSeq ?? 0) + index);
      discard(entry);
      if (!entry.settled) entry.answer(errorOfRefusal(why));
    }
  }

  return {
    size: () => size,
    inFlightBatches: () => inFlight.length(),
    hasWork: () => resend.length > 0 || (held.length === 0 && nextQueued() !== undefined),
    hasHeld: () => held.length > 0,
    add,
    dropQueued,
    takeBatch,
    applyAck,
    disconnected,
    releaseHeld,
    resendHead: () => resend[0]?.firstSeq ?? null,
    refuseHead,
    refusedNumbers() {
      // Held numbers count as refused only where later ones go out before them.
      const waiting =
        resend.length > 0 ? held.flatMap(({ seq, burned }) => (burned ? [] : [seq])) : [];
      return [...refused, ...waiting].sort((a, b) => a - b).slice(-REFUSED_NUMBERS_MAX);
    },
  };
}
