/** A clock that goes as the story does: what is sealed, signed and anchored carries the story's time. */
import type { StageClock } from '../agent/checkpoint/clock.ts';

export interface StoryClock extends StageClock {
  /** Moves to a time; what is due by then is called, in its order. Never goes back. */
  moveTo(atMs: number): void;
}

/** Creates a clock that stands at a time. */
export function createStoryClock(fromMs: number): StoryClock {
  let nowMs = fromMs;
  const timers = new Map<symbol, { readonly atMs: number; readonly run: () => void }>();
  return {
    nowMs: () => nowMs,
    after: (ms, run) => {
      const timer = Symbol('timer');
      timers.set(timer, { atMs: nowMs + ms, run });
      return () => void timers.delete(timer);
    },
    moveTo: (atMs) => {
      nowMs = Math.max(nowMs, atMs);
      const due = [...timers]
        .filter(([, timer]) => timer.atMs <= nowMs)
        .sort(([, one], [, other]) => one.atMs - other.atMs);
      for (const [timer, { run }] of due) {
        timers.delete(timer);
        run();
      }
    },
  };
}
