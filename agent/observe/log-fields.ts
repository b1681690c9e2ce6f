/**
 * What a log line may carry beside its message. The list below is the guard: a field that nobody put
 * on it, and anything that is not a plain value, stays out, so that an event handed to the log by
 * mistake leaves no trace there, not even the names of its members.
 */

/** A value that a log line may carry. */
export type LogValue = string | number | boolean | null;

/** Fields after the guard; safe to write. */
export type LogFields = Readonly<Record<string, LogValue>>;

/** Longest text of a field or message, in UTF-16 units; the rest is cut off. */
export const LOG_TEXT_MAX = 500;
export const WITHHELD = '[withheld]';

/** A stack frame ends with line and column of a file of ours. */
const FRAME = /^\s+at .*:\d+:\d+\)?$/;

/** Names are added on purpose, one by one. None of them may ever carry what an application sent. */
const FIELDS: ReadonlySet<string> = new Set([
  'address',
  'agent',
  'anchor',
  'applied',
  'attempts',
  'batches',
  'bound',
  'byte',
  'bytes',
  'bytes_left',
  'code',
  'component',
  'count',
  'cursor',
  'durable',
  'duration_ms',
  'endpoint',
  'error',
  'from',
  'fsync_ms',
  'kind',
  'lag',
  'limit',
  'line',
  'login',
  'missing',
  'needs_restart',
  'number',
  'outcome',
  'path',
  'port',
  'producer',
  'reason',
  'records',
  'retry_ms',
  'seconds_left',
  'segment',
  'shard',
  'seq',
  'signal',
  'sink',
  'stack',
  'state',
  'status',
  'stream',
  'timeout_ms',
  'to',
  'used_ratio',
  'version',
  'warning',
]);

/**
 * Keeps listed fields with plain values. A listed field with anything else in it reads
 * `[withheld]`; `withheld` counts the fields that are not listed. Of a `stack` only the frames stay:
 * its first line is a message, which may quote.
 */
export function withoutContents(fields: object): LogFields {
  const kept: Record<string, LogValue> = {};
  let withheld = 0;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (FIELDS.has(name)) kept[name] = name === 'stack' ? framesOf(value) : plainValue(value);
    else withheld += 1;
  }
  return withheld === 0 ? kept : { ...kept, withheld };
}

/** Cuts a text to what a log line takes. */
export function boundText(text: string): string {
  return text.length <= LOG_TEXT_MAX ? text : `${text.slice(0, LOG_TEXT_MAX)}…`;
}

function plainValue(value: unknown): LogValue {
  if (typeof value === 'string') return boundText(value);
  if (typeof value === 'bigint') return value.toString();
  const isPlain = typeof value === 'number' || typeof value === 'boolean' || value === null;
  return isPlain ? value : WITHHELD;
}

function framesOf(value: unknown): LogValue {
  const lines: readonly unknown[] = typeof value === 'string' ? value.split('\n') : asList(value);
  const frames = lines.flatMap((line) =>
    typeof line === 'string' && FRAME.test(line) ? [line.trim()] : [],
  );
  return boundText(frames.join(' < '));
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
