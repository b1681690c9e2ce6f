/** The clock of the checkpoint stage and its anchors. */
import type { Clock } from '../ports.ts';

/** Time, so that a test can move it. */
export interface StageClock extends Clock {
  /** Calls back once after so many milliseconds; returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

/**
 * How much of an interval is left, at most all of it. By a clock that was set back nothing is: what is due every
 * minute MUST NOT wait until that clock has caught up with itself.
 */
export function leftOf(intervalMs: number, sinceMs: number, nowMs: number): number {
  return nowMs < sinceMs ? 0 : Math.max(0, sinceMs + intervalMs - nowMs);
}
