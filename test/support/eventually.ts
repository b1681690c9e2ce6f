/**
 * Waiting for a condition. The deadline is far above what a slow machine takes: only a failure waits that long. Who has
 * waited for long is looked after less often, since looking takes from what is waited for.
 */
import { setTimeout as pause } from 'node:timers/promises';

/** Also of `expect.poll` and of `until`. */
export const DEADLINE_MS = 60_000;

const PAUSE_MS_MAX = 50;

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
