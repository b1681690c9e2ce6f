/**
 * Times as people say them, in a time zone, to the instants that are asked about: `2026-10`, `last-month`,
 * `2026-10-01`, `7d`, RFC 3339. A day or a month is a span: the range begins with its beginning and ends with its end.
 * Pure.
 */
import { err, ok, type Result } from '../schemas/result.ts';
import { suggest } from '../schemas/suggest.ts';
import { DAY_MS, instantOf, offsetMs } from './rules/clock.ts';

export type Edge = 'since' | 'until';

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };
const WORDS = [
  'today',
  'yesterday',
  'last-week',
  'this-month',
  'last-month',
  'this-year',
  'last-year',
];

const RFC_3339 = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** RFC 3339 in UTC, to the millisecond; null: it is no time of the years 1 to 9999, or of no day of the calendar. */
export function readInstant(text: string): string | null {
  const [, day = ''] = RFC_3339.exec(text) ?? [];
  const [instant, midnight] = [new Date(text), new Date(day)];
  if (day === '' || Number.isNaN(instant.getTime()) || Number.isNaN(midnight.getTime()))
    return null;
  // Of the 30th of February, Date makes the 2nd of March.
  if (!midnight.toISOString().startsWith(day)) return null;
  const utc = instant.toISOString();
  return /^(?!0000)\d{4}-/.test(utc) ? utc : null;
}

/** A calendar day of the time zone; `month` from 1, and any number is carried over. */
interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** The instant as RFC 3339 in UTC; the error says what would be right. */
export function readTime(
  text: string,
  edge: Edge,
  timeZone: string,
  nowMs: number,
): Result<string, string> {
  if (text === 'now') return ok(new Date(nowMs).toISOString());
  if (/^\d{4}-\d{2}-\d{2}T/.test(text)) {
    const instant = readInstant(text);
    return instant === null
      ? err('is no time like 2026-10-01T08:00:00Z or 2026-10-01T08:00:00+02:00')
      : ok(instant);
  }
  const [, count, unit = ''] = /^(\d{1,5})([hdw])$/.exec(text) ?? [];
  if (count !== undefined)
    return ok(new Date(nowMs - Number(count) * (UNITS[unit] ?? 0)).toISOString());
  const span = readSpan(text, dayOf(nowMs, timeZone));
  if (span === null) {
    const near = suggest(text, WORDS);
    const hint = near === null ? '' : `; did you mean ${near}?`;
    return err(
      `is no time: give 2026-10, 2026-10-01, 2026-10-01T08:00:00Z, 7d, 24h, now, or ${WORDS.join(', ')}${hint}`,
    );
  }
  return ok(new Date(beginningOf(span[edge], timeZone)).toISOString());
}

function readSpan(text: string, today: Day): Readonly<Record<Edge, Day>> | null {
  const { year, month, day } = today;
  const days = (from: number, count: number): Readonly<Record<Edge, Day>> => ({
    since: { year, month, day: from },
    until: { year, month, day: from + count },
  });
  const months = (of: number, first: number, count: number): Readonly<Record<Edge, Day>> => ({
    since: { year: of, month: first, day: 1 },
    until: { year: of, month: first + count, day: 1 },
  });
  const weekday = (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7;
  const words: Readonly<Record<string, Readonly<Record<Edge, Day>>>> = {
    today: days(day, 1),
    yesterday: days(day - 1, 1),
    'last-week': days(day - weekday - 7, 7),
    'this-month': months(year, month, 1),
    'last-month': months(year, month - 1, 1),
    'this-year': months(year, 1, 12),
    'last-year': months(year - 1, 1, 12),
  };
  const word = Object.hasOwn(words, text) ? words[text] : undefined;
  if (word !== undefined) return word;
  const [, y, m, d] = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(text) ?? [];
  if (y === undefined || m === undefined) return null;
  const given = { year: Number(y), month: Number(m), day: Number(d ?? 1) };
  const date = new Date(Date.UTC(given.year, given.month - 1, given.day));
  // 2026-02-30 is no day, and 2026-13 no month.
  if (date.getUTCMonth() + 1 !== given.month || date.getUTCDate() !== given.day) return null;
  if (d === undefined) return months(given.year, given.month, 1);
  return { since: given, until: { ...given, day: given.day + 1 } };
}

function dayOf(ms: number, timeZone: string): Day {
  const local = new Date(ms + offsetMs(ms, timeZone));
  return { year: local.getUTCFullYear(), month: local.getUTCMonth() + 1, day: local.getUTCDate() };
}

/** The first instant of a day; of one whose midnight the clock leaves out, the first that there is. */
function beginningOf({ year, month, day }: Day, timeZone: string): number {
  return instantOf(Date.UTC(year, month - 1, day), timeZone, 'first');
}
