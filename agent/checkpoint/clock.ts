/** The clock of the checkpoint stage and its anchors. */
import type { Clock } from '../ports.ts';

/** Time, so that a test can move it. */
export interface StageClock extends Clock {
  /** Calls back once after so many milliseconds; returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}
