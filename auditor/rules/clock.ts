/** The clock on a wall, in a time zone: what it shows at an instant, and when it shows a time. Pure. */

export const DAY_MS = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far the clock of a time zone is ahead of UTC. */
export function offsetMs(ms: number, timeZone: string): number {
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
  const local = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return local - Math.floor(ms / 1000) * 1000;
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
