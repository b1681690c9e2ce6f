/**
 * Times as people write and read them, in a time zone with a name. Everything between is UTC. Pure.
 */

/** Ranges with a name, that a form offers. */
export const PRESETS: readonly (readonly [name: string, title: string])[] = [
  ['day', 'Last 24 hours'],
  ['week', 'Last 7 days'],
  ['month', 'Last 30 days'],
  ['this-month', 'This month'],
  ['last-month', 'Last month'],
  ['custom', 'From … until …'],
];

export interface Range {
  readonly since: string;
  readonly until: string;
}

const DAY_MS = 86_400_000;

/** The range of a preset; null where it has none of its own. Ends on the full minute that has begun. */
export function rangeOf(preset: string, nowMs: number, zone: string): Range | null {
  const until = Math.ceil(nowMs / 60_000) * 60_000;
  const back = { day: 1, week: 7, month: 30 }[preset];
  if (back !== undefined) return { since: iso(until - back * DAY_MS), until: iso(until) };
  const [year, month] = wallOf(nowMs, zone);
  const from = { 'this-month': month, 'last-month': month - 1 }[preset];
  if (from === undefined) return null;
  const monthStart = (at: number): string => iso(fromWall(Date.UTC(year, at - 1, 1), zone));
  return { since: monthStart(from), until: monthStart(from + 1) };
}

/** UTC of what a field of the kind datetime-local holds; null where that is no time. */
export function parseLocal(text: string, zone: string): string | null {
  const wall = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?$/.test(text)
    ? Date.parse(`${text}Z`)
    : NaN;
  return Number.isNaN(wall) ? null : iso(fromWall(wall, zone));
}

/** What such a field shows of a time. */
export function formatLocal(utc: string, zone: string): string {
  const ms = Date.parse(utc);
  return new Date(ms + offsetMs(ms, zone)).toISOString().slice(0, 16);
}

/** As 2026-11-26 14:03:05.123, in the zone; what is no time is left as it is. */
export function formatTime(utc: string, zone: string): string {
  const ms = Date.parse(utc);
  if (Number.isNaN(ms)) return utc;
  return new Date(ms + offsetMs(ms, zone)).toISOString().slice(0, -1).replace('T', ' ');
}

/** As 2026-11-26 14:03. */
export function formatMinute(utc: string, zone: string): string {
  return formatLocal(utc, zone).replace('T', ' ');
}

/**
 * The zones that a form offers, and no other spelling of them: what is known of a zone is kept, and whoever may make up
 * names, each of them another, fills the memory.
 */
export const ZONES: ReadonlySet<string> = new Set(['UTC', ...Intl.supportedValuesOf('timeZone')]);

/** How far the clocks of a zone are ahead of UTC. */
export function offsetMs(ms: number, zone: string): number {
  const [year, month, day, hour, minute, second] = wallOf(ms, zone);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
}

/** UTC of a wall clock, that is given as if it were UTC. Of two such times the earlier, of none the one after. */
export function fromWall(wallMs: number, zone: string): number {
  const before = wallMs - offsetMs(wallMs - DAY_MS, zone);
  if (before + offsetMs(before, zone) === wallMs) return before;
  return wallMs - offsetMs(wallMs + DAY_MS, zone);
}

type Wall = readonly [number, number, number, number, number, number];
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  formatters.set(zone, made);
  return made;
}

function wallOf(ms: number, zone: string): Wall {
  const parts = formatterOf(zone).formatToParts(ms);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  return [of('year'), of('month'), of('day'), of('hour'), of('minute'), of('second')];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
