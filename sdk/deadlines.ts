/**
 * Deadlines of many waiting callers on one timer. All wait equally long, so the order of arrival
 * is the order of expiry, and the first one unanswered tells when to look next.
 */
import { performance } from 'node:perf_hooks';
import { createFifo } from './fifo.ts';

export interface Waiting {
  /** On the monotonic clock, in milliseconds. */
  readonly deadlineMs: number;
  /** True once answered. */
  settled: boolean;
}

export interface Deadlines<T extends Waiting> {
  watch(item: T): void;
  /** Call after answers were given: frees what is answered and wakes those in whenSettled. */
  forgetSettled(): void;
  /** Whether somebody still waits. */
  hasOpen(): boolean;
  /** Resolves once everything watched so far is answered. */
  whenSettled(): Promise<void>;
  stop(): void;
}

/** Creates the watch; `expire` MUST settle the item it is given. */
export function createDeadlines<T extends Waiting>(expire: (item: T) => void): Deadlines<T> {
  const waiting = createFifo<T | (() => void)>();
  let timer: NodeJS.Timeout | null = null;

  /** Frees answered items up to the first open one, which it returns. */
  function firstOpen(): T | null {
    for (;;) {
      const item = waiting.peek();
      if (item === undefined) return null;
      if (typeof item === 'function') item();
      else if (!item.settled) return item;
      waiting.shift();
    }
  }

  function arm(deadlineMs: number): void {
    timer = setTimeout(check, Math.max(1, Math.ceil(deadlineMs - performance.now())));
    // The socket or the backoff timer keeps the process alive while something is under way.
    timer.unref();
  }

  function check(): void {
    timer = null;
    const nowMs = performance.now();
    for (let item = firstOpen(); item !== null; item = firstOpen()) {
      if (item.deadlineMs > nowMs) return arm(item.deadlineMs);
      expire(item);
    }
  }

  return {
    watch(item) {
      waiting.push(item);
      if (timer === null) arm(item.deadlineMs);
    },
    forgetSettled: () => void firstOpen(),
    hasOpen: () => firstOpen() !== null,
    whenSettled: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        firstOpen();
      }),
    stop() {
      if (timer !== null) clearTimeout(timer);
    },
  };
}
