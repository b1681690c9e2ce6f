/** Whether an instant lies outside working hours, by the clock of the question's time zone. Pure. */
import type { Resolved } from '../questions/question.ts';
import { DAY_MS, instantOf } from './clock.ts';

const DAYS: readonly string[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Answers for any instant; each day is computed once. */
export function isOffHours(question: Resolved): (ms: number) => boolean {
  const { timeZone } = question;
  const working = new Set(question.list('days').map((day) => DAYS.indexOf(day)));
  const [opens, closes] = [
    sinceMidnight(question.text('opens')),
    sinceMidnight(question.text('closes')),
  ];
  const open = new Map<number, readonly [number, number] | null>();

  /** When it is open on a day of the calendar, which counts from 1970. */
  function openingOf(day: number): readonly [number, number] | null {
    const known = open.get(day);
    if (known !== undefined) return known;
    const midnight = day * DAY_MS;
    const at = (sinceMs: number): number => instantOf(midnight + sinceMs, timeZone, 'second');
    // One that the clock leaves out whole, as of a zone that moves over the date line, has no hours.
    const isThere = at(0) < at(DAY_MS);
    const isWorking = isThere && working.has(new Date(midnight).getUTCDay());
    const found = isWorking ? ([at(opens), at(closes)] as const) : null;
    open.set(day, found);
    return found;
  }

  return (ms) => {
    // A time zone is less than a day away from UTC.
    const day = Math.floor(ms / DAY_MS);
    return ![day - 1, day, day + 1].some((one) => {
      const opening = openingOf(one);
      return opening !== null && ms >= opening[0] && ms < opening[1];
    });
  };
}

/** HH:MM. */
function sinceMidnight(clock: string): number {
  return (Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3))) * 60_000;
}
