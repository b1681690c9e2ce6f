import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decideBackoffMs,
  parseRetryAfter,
  RETRY_AFTER_MS_MAX,
} from '../../../agent/deliver/backoff.ts';

const RETRY = { initial_ms: 200, max_ms: 30_000 };
/** Just below 1, the largest that a random number may be. */
const MOST = 1 - Number.EPSILON;

test('the ceiling doubles with each failure and ends at the maximum', () => {
  const ceilings = Array.from({ length: 12 }, (_, index) =>
    decideBackoffMs(index + 1, RETRY, MOST),
  );
  expect(ceilings.slice(0, 4)).toEqual([199, 399, 799, 1599]);
  expect(Math.max(...ceilings)).toBe(29_999);
});

test('full jitter: every wait below the ceiling is as likely as any other', () => {
  const draws = 10_000;
  const waits = Array.from({ length: draws }, (_, index) =>
    decideBackoffMs(4, RETRY, index / draws),
  );
  expect(Math.min(...waits)).toBe(0);
  expect(Math.max(...waits)).toBe(1_599);
  for (const quarter of [0, 1, 2, 3]) {
    const inside = waits.filter((ms) => Math.floor(ms / 400) === quarter);
    expect(inside).toHaveLength(draws / 4);
  }
});

test('no number of failures makes a wait that is not a number or beyond its bounds', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.double({ min: 0, max: MOST, noNaN: true }),
      fc.integer({ min: 0, max: 1e12 }),
      (failures, random, retryAfterMs) => {
        const floor = Math.min(retryAfterMs, RETRY_AFTER_MS_MAX);
        const waitMs = decideBackoffMs(failures, RETRY, random, retryAfterMs);
        expect(waitMs).toBeGreaterThanOrEqual(floor);
        expect(waitMs).toBeLessThan(floor + RETRY.max_ms);
      },
    ),
  );
});

test('Retry-After is read as seconds or as an HTTP date, and anything else is no wish', () => {
  const nowMs = Date.parse('2026-03-01T10:00:00Z');
  const cases: [string | undefined, number | null][] = [
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7_000],
    ['Sun, 01 Mar 2026 10:00:30 GMT', 30_000],
    ['Sunday, 01-Mar-26 10:00:30 GMT', 30_000],
    ['Sun, 01 Mar 2026 09:00:00 GMT', 0],
    [undefined, null],
    ['', null],
    ['-3', null],
    ['1.5', null],
    ['soon', null],
    ['2026', 2_026_000],
    ['2026-03-01', null],
    ['Sunlight', null],
  ];
  for (const [text, expected] of cases) expect(parseRetryAfter(text, nowMs), text).toBe(expected);
});
