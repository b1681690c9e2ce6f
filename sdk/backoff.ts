/**
 * How long to wait before the next try: exponential, with jitter, so that the processes of a
 * host do not return to a restarted agent in step. Pure.
 */
const FIRST_MS = 20;
const LONGEST_MS = 1000;

/** Wait before try number `failures` (from 1); `random` is from [0, 1). Between half and all. */
export function decideBackoffMs(failures: number, random: number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 16));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}
