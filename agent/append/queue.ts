/**
 * The append queue: batches that wait for a group commit. Bounded by events: when it is full,
 * receivers stop reading, and backpressure reaches the callers as time. Nothing is dropped.
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
  /** Takes the oldest batches, up to the size of one group commit. */
  gather(): Gathered;
  /** Takes everything. */
  drain(): readonly Waiting[];
  isEmpty(): boolean;
  events(): number;
  hasRoom(): boolean;
  whenRoom(): Promise<void>;
}

/** Sealing adds chain, salt and hashes to an event: about this many bytes. */
const ENVELOPE_BYTES = 512;

/** Creates an empty queue. */
export function createAppendQueue(options: {
  readonly eventsMax: number;
  readonly batchBytesMax: number;
}): AppendQueue {
  let queue: Waiting[] = [];
  let events = 0;
  let waiters: (() => void)[] = [];

  const hasRoom = (): boolean => events < options.eventsMax;

  function wake(): void {
    if (waiters.length === 0 || !hasRoom()) return;
    const woken = waiters;
    waiters = [];
    for (const resume of woken) resume();
  }

  function gather(): Gathered {
    let bytes = 0;
    let count = 0;
    for (const { request } of queue) {
      if (count > 0 && bytes >= options.batchBytesMax) break;
      for (const event of request.events) {
        bytes += ENVELOPE_BYTES + (event.ok ? event.value.canonical.length : 0);
      }
      count += 1;
    }
    const waiting = queue.slice(0, count);
    queue = queue.slice(count);
    for (const { request } of waiting) events -= request.events.length;
    wake();
    return { waiting, bytes };
  }

  return {
    gather,
    hasRoom,
    push: (waiting) => {
      queue.push(waiting);
      events += waiting.request.events.length;
    },
    drain: () => {
      const everyone = queue;
      queue = [];
      events = 0;
      wake();
      return everyone;
    },
    isEmpty: () => queue.length === 0,
    events: () => events,
    whenRoom: () => (hasRoom() ? Promise.resolve() : new Promise((resume) => waiters.push(resume))),
  };
}
