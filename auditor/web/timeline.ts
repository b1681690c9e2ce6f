/**
 * How the rows of an answer lie in time: counted into hours, days or weeks of the time zone in which it was asked, by
 * outcome where the rows have one. Pure.
 */
import type { AnswerRow, Asked, Column } from '../answer.ts';
import { fromWall, offsetMs } from './times.ts';

export interface Bucket {
  /** RFC 3339, UTC: where it begins. */
  readonly start: string;
  /** One a series. */
  readonly counts: readonly number[];
}

export interface Timeline {
  readonly unit: 'hour' | 'day' | 'week';
  readonly series: readonly string[];
  /** All of them, empty ones as well, in order. */
  readonly buckets: readonly Bucket[];
  readonly rows: number;
  /** False: only the first rows were counted. */
  readonly isWhole: boolean;
}

/** More are not counted: a chart of them would look no different. */
export const ROWS_MAX = 20_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const UNIT_MS = { hour: HOUR_MS, day: DAY_MS, week: 7 * DAY_MS } as const;
/** Monday, 1970-01-05. */
const MONDAY_MS = 4 * DAY_MS;
const BUCKETS_MAX = 400;
const OUTCOMES = ['success', 'denied', 'failure'];
/** Of rows without an outcome. */
export const EVENTS = 'rows';
/** A forged row may say anything: it opens no series of its own. */
const OTHER = 'other';
const SERIES = [...OUTCOMES, OTHER, EVENTS];

/** Counts; null where no column is a time. */
export async function countRows(
  { since, until, timeZone }: Asked,
  columns: readonly Column[],
  rows: AsyncIterable<AnswerRow>,
): Promise<Timeline | null> {
  const time = columns.findIndex(({ kind }) => kind === 'time');
  if (time === -1) return null;
  const outcome = columns.findIndex(({ name }) => name === 'outcome');
  const unit = unitOf(Date.parse(until) - Date.parse(since));
  const counted = new Map<number, Map<string, number>>();
  let total = 0;
  let isWhole = true;
  for await (const { values } of rows) {
    if (total === ROWS_MAX) {
      isWhole = false;
      break;
    }
    const ms = Date.parse(String(values[time] ?? ''));
    if (Number.isNaN(ms)) continue;
    total += 1;
    const start = startOf(ms, unit, timeZone);
    const series = outcome === -1 ? EVENTS : seriesOf(values[outcome]);
    const bucket = counted.get(start) ?? new Map<string, number>();
    counted.set(start, bucket.set(series, (bucket.get(series) ?? 0) + 1));
  }
  const found = new Set([...counted.values()].flatMap((bucket) => [...bucket.keys()]));
  const series = SERIES.filter((name) => found.has(name));
  const buckets = startsOf(since, until, unit, timeZone, counted).map((start) => ({
    start: new Date(start).toISOString(),
    counts: series.map((name) => counted.get(start)?.get(name) ?? 0),
  }));
  return { unit, series, buckets, rows: total, isWhole };
}

function seriesOf(outcome: string | number | null | undefined): string {
  return OUTCOMES.find((name) => name === outcome) ?? OTHER;
}

function unitOf(lengthMs: number): Timeline['unit'] {
  if (lengthMs <= 3 * DAY_MS) return 'hour';
  return lengthMs <= 120 * DAY_MS ? 'day' : 'week';
}

function startOf(ms: number, unit: Timeline['unit'], zone: string): number {
  if (unit === 'hour') {
    const offset = offsetMs(ms, zone);
    return Math.floor((ms + offset) / HOUR_MS) * HOUR_MS - offset;
  }
  const length = UNIT_MS[unit];
  const from = unit === 'week' ? MONDAY_MS : 0;
  const wall = Math.floor((ms + offsetMs(ms, zone) - from) / length) * length + from;
  return fromWall(wall, zone);
}

/** Every bucket of the range; of a range that has too many, those with something in them. */
function startsOf(
  since: string,
  until: string,
  unit: Timeline['unit'],
  zone: string,
  counted: ReadonlyMap<number, unknown>,
): readonly number[] {
  const [from, to] = [Date.parse(since), Date.parse(until)];
  const starts = new Set(counted.keys());
  // In the middle of the next one: a day of 23 or 25 hours is met once.
  const after = (at: number): number => startOf(at + UNIT_MS[unit] * 1.5, unit, zone);
  if ((to - from) / UNIT_MS[unit] <= BUCKETS_MAX)
    for (let at = startOf(from, unit, zone); at < to; at = after(at)) starts.add(at);
  return [...starts].sort((one, other) => one - other);
}
