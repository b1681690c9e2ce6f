/**
 * The append queue: batches that wait for a group commit. Bounded by events and by bytes: when it is
 * full, receivers stop reading, and backpressure reaches the callers as time. Nothing is dropped.
 */
import type { AppendOutcome, AppendRequest } from '../ports.ts';

export interface Waiting {
  readonly request: AppendRequest;
  readonly settle: (outcomes: readonly AppendOutcome[]) => void;
}

export interface Gathered {
  readonly waiting: readonly Waiting[];
  /** About what the batch will take in the ledger. */
  readonly bytes: number;
}

export interface AppendQueue {
  push(waiting: Waiting): void;
  /** Takes the oldest batches, up to the size of one group commit; one that is larger goes alone. */
  gather(): Gathered;
  /** Takes everything. Who waits for room goes on a turn later, after those taken were answered. */
  drain(): readonly Waiting[];
  isEmpty(): boolean;
  events(): number;
  hasRoom(): boolean;
  /** Resolves when there was room; others may have taken it since, so ask again. */
  whenRoom(): Promise<void>;
}

/** Sealing adds chain, salt and hashes to an event: at most about this many bytes. */
const ENVELOPE_BYTES = 640;

/** About what the events of a request will take in the ledger. */
export function ledgerBytesOf({ events }: AppendRequest): number {
  let bytes = 0;
  for (const event of events) {
    if (event.ok) bytes += ENVELOPE_BYTES + event.value.canonical.end - event.value.canonical.start;
  }
  return bytes;
}

/** Creates an empty queue. */
export function createAppendQueue(options: {
  readonly eventsMax: number;
  readonly bytesMax: number;
  readonly batchBytesMax: number;
}): AppendQueue {
  let queue: (Waiting & { readonly bytes: number })[] = [];
  let events = 0;
  let bytesHeld = 0;
  let waiters: (() => void)[] = [];

  const hasRoom = (): boolean => events < options.eventsMax && bytesHeld < options.bytesMax;

  function wake(): void {
    if (waiters.length === 0 || !hasRoom()) return;
    const woken = waiters;
    waiters = [];
    for (const resume of woken) resume();
  }

  function gather(): Gathered {
    let bytes = 0;
    let count = 0;
    for (const next of queue) {
      if (count > 0 && bytes + next.bytes > options.batchBytesMax) break;
      bytes += next.bytes;
      count += 1;
    }
    const waiting = queue.slice(0, count);
    queue = queue.slice(count);
    for (const { request } of waiting) events -= request.events.length;
    bytesHeld -= bytes;
    wake();
    return { waiting, bytes };
  }

  return {
    gather,
    hasRoom,
    push: (waiting) => {
      const bytes = ledgerBytesOf(waiting.request);
      queue.push({ ...waiting, bytes });
      events += waiting.request.events.length;
      bytesHeld += bytes;
    },
    drain: () => {
      const everyone = queue;
      queue = [];
      events = 0;
      bytesHeld = 0;
      setImmediate(wake);
      return everyone;
    },
    isEmpty: () => queue.length === 0,
    events: () => events,
    whenRoom: () => (hasRoom() ? Promise.resolve() : new Promise((resume) => waiters.push(resume))),
  };
}
