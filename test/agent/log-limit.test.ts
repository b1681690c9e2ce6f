/** Lines that would fill the log. */
import { expect, test } from 'vitest';
import { createLogLimit, LOG_INTERVAL_MS } from '../../agent/log-limit.ts';

test('what goes on is told once a minute, each name by itself, with how often it came', () => {
  let nowMs = Date.UTC(2026, 10, 1);
  const limit = createLogLimit(() => nowMs);
  expect(['a', 'a', 'b', 'a'].map(limit)).toEqual([1, null, 1, null]);
  nowMs += LOG_INTERVAL_MS - 1;
  expect(limit('a')).toBeNull();
  nowMs += 1;
  expect(['a', 'b'].map(limit)).toEqual([4, 1]);
});

test('a clock that is set back silences nothing', () => {
  let nowMs = Date.UTC(2026, 10, 1);
  const limit = createLogLimit(() => nowMs);
  limit('a');
  nowMs -= 3_600_000;
  expect(limit('a')).toBe(1);
});
