/** The clock on a wall, in a time zone: what it shows at an instant, and when it shows a time. Pure. */

export const DAY_MS = 86_400_000;

/** Beyond it there is no time, and no format takes one. */
const MS_MAX = 8.64e15;
const formats = new Map<string, Intl.DateTimeFormat>();

/** How far the clock of a time zone is ahead of UTC; NaN where there is no such instant. */
export function offsetMs(ms: number, timeZone: string): number {
  if (!(Math.abs(ms) <= MS_MAX)) return Number.NaN;
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
      ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
    });
  formats.set(timeZone, format);
  const parts = new Map<string, number>(
    format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: string): number => parts.get(type) ?? Number.NaN;
  const time = [part('hour'), part('minute'), part('second')] as const;
  // Date.UTC takes the years before 100 for those of the last century.
  const day = new Date(0).setUTCFullYear(part('year'), part('month') - 1, part('day'));
  return new Date(day).setUTCHours(...time) - Math.floor(ms / 1000) * 1000;
}

/**
 * When the clock shows a time, written as if it were UTC. Of one that it shows twice the first or the second; of one that
 * it leaves out, the instant that it would be without the leap.
 */
export function instantOf(local: number, timeZone: string, which: 'first' | 'second'): number {
  const candidates = [local - DAY_MS, local + DAY_MS].map((ms) => local - offsetMs(ms, timeZone));
  const right = candidates.filter((ms) => ms + offsetMs(ms, timeZone) === local);
  if (right.length === 0) return Math.max(...candidates);
  return which === 'first' ? Math.min(...right) : Math.max(...right);
}

const DAYS: readonly string[] = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** What the clock shows, as `2026-10-01 08:00:00 Thu`; nothing where there is no such instant. */
export function clockText(ms: number, timeZone: string): string {
  const local = new Date(ms + offsetMs(ms, timeZone));
  if (Number.isNaN(local.getTime())) return '';
  // The year 10000 has a sign and a nought in front.
  const text = local.toISOString().replace(/^\+0*/, '').replace('T', ' ').replace(/\..*/, '');
  return `${text} ${DAYS[local.getUTCDay()] ?? ''}`;
}
