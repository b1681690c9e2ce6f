/**
 * Waiting for a condition. The deadline is far above what a slow machine takes: only a failure waits that long.
 */
import { vi } from 'vitest';

/** Also of `expect.poll` and of `until`. */
export const DEADLINE_MS = 30_000;

/** Looks again until the callback throws no more; then returns what it returned. */
export function eventually<T>(look: () => T | Promise<T>, intervalMs: number = 20): Promise<T> {
  return vi.waitFor(look, { timeout: DEADLINE_MS, interval: intervalMs });
}
