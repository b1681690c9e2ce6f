/**
 * How long a sign-in has to wait after failures, by name and by address: nothing for the first few, then twice as long
 * each time. A right password does not get past the wait, or the wait would tell which one is right. Pure but for
 * the clock that it is given.
 */

const FREE = 5;
const FIRST_WAIT_MS = 1_000;
const WAIT_MAX_MS = 15 * 60_000;
/** Failures older than this are forgotten. */
const MEMORY_MS = 60 * 60_000;
const KEYS_MAX = 10_000;

export interface Throttle {
  /** How long whoever comes with these keys still has to wait; 0: not at all. */
  waitMs(keys: readonly string[]): number;
  /** Counts an attempt as failed, before it is looked at: many at once get no further than one by one. */
  begin(keys: readonly string[]): void;
  /** It was right: forgets all failures of the name, and of the address this one. */
  succeed(name: string, address: string): void;
}

/** Creates one that has seen no failure. */
export function createThrottle(nowMs: () => number): Throttle {
  const failures = new Map<string, { count: number; lastMs: number }>();

  function left(key: string): number {
    const seen = failures.get(key);
    if (seen === undefined || seen.count < FREE) return 0;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** (seen.count - FREE), WAIT_MAX_MS);
    return Math.max(0, seen.lastMs + wait - nowMs());
  }

  return {
    waitMs: (keys) => Math.max(...keys.map(left)),
    begin(keys) {
      for (const key of keys) {
        const seen = failures.get(key);
        const isOld = seen === undefined || nowMs() - seen.lastMs > MEMORY_MS;
        // Put last: the one that failed longest ago is the first to be forgotten.
        failures.delete(key);
        failures.set(key, { count: isOld ? 1 : seen.count + 1, lastMs: nowMs() });
      }
      for (const key of failures.keys()) {
        if (failures.size <= KEYS_MAX) break;
        failures.delete(key);
      }
    },
    succeed(name, address) {
      failures.delete(name);
      const seen = failures.get(address);
      if (seen !== undefined) seen.count -= 1;
    },
  };
}
