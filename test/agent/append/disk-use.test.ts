import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decideUse,
  decideWarningLevel,
  keepWindow,
  quotaBytes,
  WARNING_RATIOS,
  type DiskSample,
} from '../../../agent/append/disk-use.ts';

const GB = 1e9;
const MINUTE_MS = 60_000;

const at = (minute: number, ledgerBytes: number, freeBytes = 900 * GB): DiskSample => ({
  atMs: minute * MINUTE_MS,
  ledgerBytes,
  filesystem: { totalBytes: 1000 * GB, freeBytes },
});

test('a quota is bytes, or a share of the file system as it is now', () => {
  expect(quotaBytes(undefined, 100)).toBe(null);
  expect(quotaBytes(7_000, 100)).toBe(7_000);
  expect(quotaBytes('7000', 100)).toBe(7_000);
  expect(quotaBytes('80%', 1000 * GB)).toBe(800 * GB);
  expect(quotaBytes('100%', 999)).toBe(999);
});

test('the time left is that of the bound that is met first', () => {
  const steady = [at(0, 10 * GB), at(10, 16 * GB)];
  // 6 GB in ten minutes, 24 GB to the quota.
  expect(decideUse(steady, 40 * GB)).toMatchObject({
    used_ratio: 0.4,
    bound: 'quota',
    bytes_left: 24 * GB,
    bytes_per_second: 1e7,
    seconds_left: 2_400,
  });
  // The file system has others on it, and they are faster.
  const crowded = [at(0, 10 * GB, 80 * GB), at(10, 16 * GB, 20 * GB)];
  expect(decideUse(crowded, 40 * GB)).toMatchObject({
    used_ratio: 0.98,
    bound: 'filesystem',
    bytes_left: 20 * GB,
    seconds_left: 200,
  });
  expect(decideUse(crowded, null)).toMatchObject({ quota_bytes: null, seconds_left: 200 });
});

test('nothing that grows means no end, a full disk means none left, one sample means no rate', () => {
  expect(decideUse([at(0, 5 * GB), at(5, 5 * GB)], 10 * GB)?.seconds_left).toBe(null);
  expect(decideUse([at(0, 5 * GB), at(5, 4 * GB)], 10 * GB)).toMatchObject({
    bytes_per_second: 0,
    seconds_left: null,
  });
  expect(decideUse([at(0, 5 * GB)], 10 * GB)).toMatchObject({ seconds_left: null });
  expect(decideUse([at(0, 9 * GB), at(5, 12 * GB)], 10 * GB)).toMatchObject({
    used_ratio: 1,
    bytes_left: 0,
    seconds_left: 0,
  });
  expect(decideUse([], 10 * GB)).toBe(null);
});

test('the rate is that of the window: what was before is forgotten, and so is a clock set back', () => {
  const samples = Array.from({ length: 40 }, (_, minute) => at(minute, minute < 20 ? 0 : GB));
  const kept = samples.reduce<readonly DiskSample[]>(
    (before, next) => keepWindow(before, next),
    [],
  );
  expect(kept.map(({ atMs }) => atMs / MINUTE_MS)).toEqual([
    29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
  ]);
  expect(decideUse(kept, 10 * GB)?.seconds_left).toBe(null);
  expect(keepWindow(kept, at(31, 2 * GB)).map(({ atMs }) => atMs / MINUTE_MS)).toEqual([
    29, 30, 31,
  ]);
  expect(keepWindow(kept, at(1, 2 * GB))).toEqual([at(1, 2 * GB)]);
});

test('each threshold is told once on the way up, and again only after it was left for good', () => {
  const levels = (ratios: readonly number[]): number[] => {
    let level = 0;
    return ratios.map((ratio) => (level = decideWarningLevel(level, ratio)));
  };
  expect(levels([0.1, 0.69, 0.7, 0.71, 0.69, 0.7, 0.85, 0.94, 0.95, 1])).toEqual([
    0, 0, 1, 1, 1, 1, 2, 2, 3, 3,
  ]);
  expect(levels([0.96, 0.94, 0.93, 0.91, 0.83, 0.81, 0.69, 0.66, 0.7])).toEqual([
    3, 3, 3, 2, 2, 1, 1, 0, 1,
  ]);
});

test('however the ratio moves, a warning is never missing and none comes twice within the hysteresis', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }),
      (ratios) => {
        let level = 0;
        for (const ratio of ratios) {
          level = decideWarningLevel(level, ratio);
          const passed = WARNING_RATIOS.filter((threshold) => ratio >= threshold).length;
          expect(level).toBeGreaterThanOrEqual(passed);
          const near = WARNING_RATIOS.filter((threshold) => ratio > threshold - 0.03).length;
          expect(level).toBeLessThanOrEqual(near);
        }
      },
    ),
  );
});
