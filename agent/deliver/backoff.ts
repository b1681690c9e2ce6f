/**
 * How long a sink is left alone after a failure: exponential backoff with full jitter, never shorter
 * than what the sink asked for. Pure: the random number and the time are handed in.
 * Retry-After: RFC 9110, section 10.2.3.
 */
import type { RetryConfig } from '../../schemas/exporter-config.ts';

/** Longest wait that a sink may ask for, 1 hour: a wrong header must not end delivery. */
export const RETRY_AFTER_MS_MAX = 3_600_000;

/** Doublings beyond this would only overflow: every configurable maximum is reached long before. */
const DOUBLINGS_MAX = 30;

/**
 * Milliseconds before the next try, after `failures` (from 1) in a row; `random` is from [0, 1).
 * Without Retry-After from [0, ceiling); with one the jitter comes on top of it, so that the agents
 * of many hosts do not return in the same moment.
 */
export function decideBackoffMs(
  failures: number,
  retry: Pick<RetryConfig, 'initial_ms' | 'max_ms'>,
  random: number,
  retryAfterMs = 0,
): number {
  const ceiling = Math.min(
    retry.max_ms,
    retry.initial_ms * 2 ** Math.min(failures - 1, DOUBLINGS_MAX),
  );
  return Math.min(retryAfterMs, RETRY_AFTER_MS_MAX) + Math.floor(random * ceiling);
}

/** Milliseconds that a Retry-After header asks for: seconds or an HTTP date; null: says nothing. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? '';
  if (/^[0-9]{1,15}$/.test(text)) return Number(text) * 1000;
  // Date.parse takes much that is no HTTP date; all three forms of one begin with a weekday.
  const at = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}
