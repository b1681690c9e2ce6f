/**
 * Waiting for a condition. The deadline is far above what a slow machine takes: only a failure waits that long. Who has
 * waited for long is looked after less often, since looking takes from what is waited for.
 */
import { setTimeout as pause } from 'node:timers/promises';

/** Also of `expect.poll` and of `until`. */
export const DEADLINE_MS = 60_000;

const PAUSE_MS_MAX = 50;
const TICK_MS = 20;
/** Of a tick that comes late. */
const TICK_MS_MAX = 100;

/** The pause before the next look. */
export const longer = (pauseMs: number): number => Math.min(pauseMs * 1.25, PAUSE_MS_MAX);

/** Looks again until the callback throws no more; then returns what it returned. */
export async function eventually<T>(look: () => T | Promise<T>, firstMs: number = 20): Promise<T> {
  const endMs = performance.now() + DEADLINE_MS;
  for (let pauseMs = firstMs; ; pauseMs = longer(pauseMs)) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
    await pause(pauseMs);
  }
}

/**
 * Measures how long something takes, without what the machine takes: while it stands still, or leaves this process no
 * turn, time does not count. Call what it returns once, for the milliseconds.
 */
export function startStopwatch(): () => number {
  let ms = 0;
  let lastMs = performance.now();
  const tick = (): void => {
    const nowMs = performance.now();
    ms += Math.min(nowMs - lastMs, TICK_MS_MAX);
    lastMs = nowMs;
  };
  const ticking = setInterval(tick, TICK_MS);
  return () => {
    clearInterval(ticking);
    tick();
    return ms;
  };
}
