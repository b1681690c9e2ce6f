/**
 * What an actor touched for the first time, out of records: of those in the range each must be a row unless the actor has an
 * event on the same thing in the days before. Where those days reach back beyond the range, one of before it has to be shown.
 */
import { indexableResourceId } from '../../store/rows.ts';
import type { Resolved } from '../questions/question.ts';
import { DAY_MS } from './clock.ts';
import { inOrder, type Candidate, type Excuses } from './excuse.ts';

const EVENTS_MAX = 500_000;
/** So many events of before the range are looked for. */
const LOOKS_MAX = 10_000;

interface Taken extends Candidate {
  readonly ms: number;
  readonly resourceType: string;
  /** As it is filed: a long one by its beginning and digest. */
  readonly resourceId: string | null;
}

/** Begins with the first event. */
export function createFirsts(question: Resolved): Excuses {
  const actor = question.text('actor');
  const isKind = question.text('of') === 'kind';
  const before = Date.parse(question.since);
  const daysMs = question.number('days') * DAY_MS;
  const all: Taken[] = [];
  return {
    why: 'an earlier record of the range shows that it is not the first',
    uses: () => false,
    take: ({ ms, resourceType, resourceId }, place, isCandidate) => {
      if (isCandidate && all.length <= EVENTS_MAX)
        all.push({
          ...place,
          ms,
          resourceType,
          resourceId: isKind ? null : indexableResourceId(resourceId),
        });
    },
    conclude: async ({ isThere }) => {
      if (all.length > EVENTS_MAX) return null;
      const newest = new Map<string, number>();
      const wrong: Candidate[] = [];
      const hidden: Candidate[] = [];
      let looks = 0;
      for (const place of all.sort(inOrder)) {
        const { ms, resourceType, resourceId, row } = place;
        const key = JSON.stringify([resourceType, resourceId]);
        const from = ms - daysMs;
        const isAgain = (newest.get(key) ?? -Infinity) >= from;
        newest.set(key, ms);
        if (isAgain && row !== undefined) wrong.push(place);
        if (isAgain || row !== undefined) continue;
        if ((looks += 1) > LOOKS_MAX) return null;
        const wanted = { actor, resourceType, resourceId, from, before };
        if (from >= before || !(await isThere(wanted))) hidden.push(place);
      }
      return { wrong, hidden };
    },
  };
}
