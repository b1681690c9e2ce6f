/** What every part of the story is told with: the month, chance, and requests with their ids. */
import type { Happening, Request, Step } from './happening.ts';
import { DAY_MS, HOUR_MS } from './happening.ts';
import type { Random } from './random.ts';

export interface Month {
  readonly name: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface Scene {
  readonly month: Month;
  readonly random: Random;
  /** Ids for a request, and what took its time. */
  request(isTraced: boolean, steps?: readonly Step[]): Request;
  /** A moment within office hours (08 to 17 UTC, Monday to Friday) of the month's working day `n`. */
  officeTime(day: number): number;
  readonly workingDays: number;
}

export type Part = Partial<Happening> &
  Pick<Happening, 'atMs' | 'tenant' | 'action' | 'actor' | 'resource'>;

/** The month of a name like 2026-10, in UTC. */
export function monthOf(name: string): Month {
  const [year = 0, number = 0] = name.split('-').map(Number);
  return { name, fromMs: Date.UTC(year, number - 1), untilMs: Date.UTC(year, number) };
}

/** The month before a time. */
export function monthBefore(nowMs: number): string {
  const now = new Date(nowMs);
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1)).toISOString().slice(0, 7);
}

/** Sets the scene. */
export function createScene(month: Month, random: Random): Scene {
  const days: number[] = [];
  for (let day = month.fromMs; day < month.untilMs; day += DAY_MS)
    if (![0, 6].includes(new Date(day).getUTCDay())) days.push(day);
  return {
    month,
    random,
    workingDays: days.length,
    request: (isTraced, steps = []) => ({
      requestId: `req-${random.hex(16)}`,
      traceId: random.hex(32),
      isTraced,
      steps,
    }),
    officeTime: (day) =>
      (days[day % days.length] ?? month.fromMs) + 8 * HOUR_MS + random.int(0, 9 * HOUR_MS),
  };
}

/** Completes what a part of the story leaves open. */
export function tell(part: Part): Happening {
  return {
    outcome: 'success',
    onBehalfOf: null,
    metadata: {},
    service: 'crm',
    ip: '10.20.0.7',
    request: null,
    ...part,
  };
}
