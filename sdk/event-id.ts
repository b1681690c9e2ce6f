/**
 * Event ids: ULIDs that rise within one SDK instance, also when the clock stands still or steps
 * back, so that events sort by id in the order in which they were recorded.
 */
import { randomFillSync } from 'node:crypto';
import { monotonicFactory } from 'ulid';

const POOL_BYTES = 1024;
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Whether the text is a ULID in its one canonical spelling. */
export function isEventId(text: string): boolean {
  return ULID.test(text);
}

/** Creates a source of rising ULIDs; the argument is the time in milliseconds since the epoch. */
export function createEventIds(): (timeMs: number) => string {
  // ulid asks for 16 random numbers a millisecond, one system call each by default.
  const pool = Buffer.alloc(POOL_BYTES);
  let used = POOL_BYTES;
  return monotonicFactory(() => {
    if (used === POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    return (pool[used++] ?? 0) / 256;
  });
}
