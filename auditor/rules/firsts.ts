/**
 * What an actor touched for the first time, out of records: of those in the range each must be a row unless the actor has an
 * event on the same thing in the days before. Where those days reach back beyond the range, one of before it has to be shown.
 * Pure.
 */
import type { Resolved } from '../questions/question.ts';
import { DAY_MS } from './clock.ts';
import type { Facts } from './facts.ts';

/** Where a record stands in the order of an answer, and in it. */
export interface FirstsPlace {
  readonly stream: string;
  readonly streamId: number;
  readonly seq: number;
  /** Its row; undefined: it is none. */
  readonly row: number | undefined;
}

/** An event of before the range that would keep a record out of the answer. */
export interface Wanted {
  readonly actor: string;
  readonly resourceType: string;
  /** Null: any of that kind. */
  readonly resourceId: string | null;
  /** Happened in [from, before), in milliseconds. */
  readonly from: number;
  readonly before: number;
}

export interface FirstsVerdict {
  /** Rows that have an earlier event within the range. */
  readonly wrong: readonly FirstsPlace[];
  /** No rows, and nothing in the range says why; null: not even an event of before it could. */
  readonly missing: readonly { readonly place: FirstsPlace; readonly wanted: Wanted | null }[];
}

export interface Firsts {
  /** Takes an event of the actor in the range; each once, in any order. */
  take(facts: Facts, place: FirstsPlace): void;
  /** Null: there are more than are kept. */
  conclude(): FirstsVerdict | null;
}

const EVENTS_MAX = 500_000;

interface Taken extends FirstsPlace {
  readonly ms: number;
  readonly resourceType: string;
  readonly resourceId: string | null;
}

/** Begins with the first event. */
export function createFirsts(question: Resolved): Firsts {
  const actor = question.text('actor');
  const isKind = question.text('of') === 'kind';
  const since = Date.parse(question.since);
  const daysMs = question.number('days') * DAY_MS;
  const all: Taken[] = [];
  return {
    take: ({ ms, resourceType, resourceId }, place) => {
      if (all.length <= EVENTS_MAX)
        all.push({ ...place, ms, resourceType, resourceId: isKind ? null : resourceId });
    },
    conclude: () => {
      if (all.length > EVENTS_MAX) return null;
      all.sort(
        (one, other) => one.ms - other.ms || one.streamId - other.streamId || one.seq - other.seq,
      );
      const newest = new Map<string, number>();
      const wrong: FirstsPlace[] = [];
      const missing: FirstsVerdict['missing'][number][] = [];
      for (const place of all) {
        const { ms, resourceType, resourceId, row } = place;
        const key = JSON.stringify([resourceType, resourceId]);
        const from = ms - daysMs;
        const isAgain = (newest.get(key) ?? -Infinity) >= from;
        newest.set(key, ms);
        if (isAgain && row !== undefined) wrong.push(place);
        if (isAgain || row !== undefined) continue;
        const wanted = { actor, resourceType, resourceId, from, before: since };
        missing.push({ place, wanted: from < since ? wanted : null });
      }
      return { wrong, missing };
    },
  };
}
