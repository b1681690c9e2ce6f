import { expect, test } from 'vitest';
import { createThrottle, pause, type Timing } from '../../../agent/deliver/timing.ts';
import { createTurns } from '../../../agent/deliver/turns.ts';

/** A clock that stands until it is moved. */
function createManualTiming(): Timing & { move(ms: number): void; timers(): number } {
  let nowMs = 1_000_000;
  const timers = new Map<object, { readonly atMs: number; readonly run: () => void }>();
  return {
    nowMs: () => nowMs,
    random: () => 0,
    after: (ms, run) => {
      const key = {};
      timers.set(key, { atMs: nowMs + ms, run });
      return () => void timers.delete(key);
    },
    timers: () => timers.size,
    move: (ms) => {
      nowMs += ms;
      for (const [key, { atMs, run }] of timers) {
        if (atMs > nowMs) continue;
        timers.delete(key);
        run();
      }
    },
  };
}

test('a throttle runs the first call at once, gathers the others, and never loses the last', () => {
  const timing = createManualTiming();
  const runs: number[] = [];
  const throttle = createThrottle(timing, 250, () => runs.push(timing.nowMs() - 1_000_000));
  for (let ms = 0; ms <= 1_000; ms++) {
    throttle.call();
    timing.move(1);
  }
  timing.move(250);
  expect(runs).toEqual([0, 250, 500, 750, 1_000, 1_251]);
  throttle.callNow();
  throttle.call();
  throttle.cancel();
  timing.move(10_000);
  expect(runs).toHaveLength(7);
});

test('a clock that is set back does not silence a throttle', () => {
  const timing = createManualTiming();
  let runs = 0;
  const throttle = createThrottle(timing, 250, () => (runs += 1));
  throttle.call();
  timing.move(-1_000_000);
  throttle.call();
  timing.move(250);
  expect(runs).toBe(2);
});

test('a pause ends with its time or with the signal, and leaves no timer behind', async () => {
  const timing = createManualTiming();
  const stopping = new AbortController();
  const first = pause(timing, 30_000, stopping.signal);
  timing.move(30_000);
  await first;
  const second = pause(timing, 30_000, stopping.signal);
  expect(timing.timers()).toBe(1);
  stopping.abort();
  await second;
  await pause(timing, 30_000, stopping.signal);
  expect(timing.timers()).toBe(0);
});

test('turns do not overlap and keep their order, also behind one that fails', async () => {
  const turn = createTurns();
  const order: string[] = [];
  const work =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      order.push(`${name} begins`);
      await new Promise((later) => setImmediate(later));
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const turns = [turn(work('a')), turn(work('b', true)), turn(work('c'))];
  expect(await Promise.allSettled(turns)).toMatchObject([
    { value: 'a' },
    { reason: { message: 'b' } },
    { value: 'c' },
  ]);
  expect(order).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]));
});
