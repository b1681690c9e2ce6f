/** Time and chance as delivery sees them, so that a test can move the one and fix the other. */
import type { Clock } from '../ports.ts';

export interface Timing extends Clock {
  /** From [0, 1). */
  random(): number;
  /** Calls back once after so many milliseconds; returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

export const realTiming: Timing = {
  nowMs: Date.now,
  random: Math.random,
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after so many milliseconds, or at once when the signal aborts. */
export function pause(timing: Timing, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resume) => {
    if (signal.aborted) {
      resume();
      return;
    }
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resume();
    };
    const cancel = timing.after(ms, end);
    signal.addEventListener('abort', end, { once: true });
  });
}

export interface Throttle {
  /** Runs now, or at the end of the interval when it ran within it. */
  call(): void;
  /** Runs now. */
  callNow(): void;
  cancel(): void;
}

/** Calls `run` at most once an interval: what comes in between is gathered into one call at its end. */
export function createThrottle(timing: Timing, intervalMs: number, run: () => void): Throttle {
  let lastMs = -Infinity;
  let cancelTimer: (() => void) | null = null;

  function cancel(): void {
    cancelTimer?.();
    cancelTimer = null;
  }

  function callNow(): void {
    cancel();
    lastMs = timing.nowMs();
    run();
  }

  return {
    callNow,
    cancel,
    call: () => {
      if (cancelTimer !== null) return;
      // A clock that was set back must not stretch the interval.
      const sinceMs = Math.max(0, timing.nowMs() - lastMs);
      if (sinceMs >= intervalMs) callNow();
      else cancelTimer = timing.after(intervalMs - sinceMs, callNow);
    },
  };
}
