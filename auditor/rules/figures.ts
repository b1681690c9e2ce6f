/** Rows that count or compare, computed once more out of records: which rows an answer must have. Pure. */
import type { AnswerRow } from '../answer.ts';
import type { Resolved } from '../questions/question.ts';
import { offsetMs } from './clock.ts';
import type { Facts } from './facts.ts';

export interface Figures {
  /** Whether a record is one of those that are counted; `stream` is where it stands. */
  matches(facts: Facts, stream: string): boolean;
  /** Takes one that is; each event once. */
  take(facts: Facts): void;
  /** The rows, in any order; null: there are more than are kept. */
  conclude(): readonly AnswerRow['values'][] | null;
  /** The first so many values of a row tell it from the others. */
  readonly key: number;
}

/** What is kept of records: beyond it the database alone has computed the rows. */
const HOURS_MAX = 1_000_000;
const EVENTS_MAX = 2_000_000;
const TIMES_MAX = 20_000_000;
const HOUR_MS = 3_600_000;

const timeText = (ms: number): string => new Date(ms).toISOString();

interface Hour {
  readonly hour: number;
  readonly actor: string;
  denials: number;
  first: number;
  last: number;
}

function denialsPerHour(question: Resolved): Figures {
  const since = Date.parse(question.since);
  const [threshold, action] = [question.number('threshold'), question.text('action')];
  // Hours are whole by the clock with which the range begins.
  const ahead = offsetMs(since, question.timeZone);
  const begin = Math.floor((since + ahead) / HOUR_MS) * HOUR_MS - ahead;
  const hours = new Map<string, Hour>();
  /** Two records of one event count once, whichever of them the database calls the repetition. */
  const counted = new Set<string>();
  return {
    key: 2,
    matches: (facts) => facts.outcome === 'denied' && ['', facts.action].includes(action),
    take: ({ ms, actor, eventId }) => {
      if (counted.has(eventId) || counted.size > EVENTS_MAX) return;
      counted.add(eventId);
      const hour = begin + Math.floor((ms - begin) / HOUR_MS) * HOUR_MS;
      const key = `${hour} ${actor}`;
      const known = hours.get(key);
      if (known === undefined) {
        if (hours.size <= HOURS_MAX)
          hours.set(key, { hour, actor, denials: 1, first: ms, last: ms });
        return;
      }
      known.denials += 1;
      known.first = Math.min(known.first, ms);
      known.last = Math.max(known.last, ms);
    },
    conclude: () =>
      hours.size > HOURS_MAX || counted.size > EVENTS_MAX
        ? null
        : [...hours.values()]
            .filter(({ denials }) => denials >= threshold)
            .map(({ hour, actor, denials, first, last }) => [
              ...[timeText(hour), actor, denials],
              ...[timeText(first), timeText(last)],
            ]),
  };
}

function silences(question: Resolved): Figures {
  const [since, until] = [Date.parse(question.since), Date.parse(question.until)];
  // To the microsecond, as intervals are.
  const mostMs = Math.round(question.number('minutes') * 60_000_000) / 1_000;
  const agent = question.text('agent');
  let times = new Float64Array(1_024);
  let used = 0;
  return {
    key: 2,
    matches: (_facts, stream) => agent === '' || stream.split('/')[1] === agent,
    take: ({ ms }) => {
      if (used > TIMES_MAX) return;
      if (used === times.length) {
        const more = new Float64Array(used * 2);
        more.set(times);
        times = more;
      }
      times[used] = ms;
      used += 1;
    },
    conclude: () => {
      if (used > TIMES_MAX) return null;
      const marks = times.subarray(0, used).sort();
      const rows: AnswerRow['values'][] = [];
      let from = since;
      for (let at = 0; at <= used; at += 1) {
        const to = marks[at] ?? until;
        if (to - from > mostMs) rows.push([timeText(from), timeText(to), (to - from) / 60_000]);
        from = to;
      }
      return rows;
    },
  };
}

export const FIGURES: Readonly<Record<string, (question: Resolved) => Figures>> = {
  'denials-per-hour': denialsPerHour,
  silences,
};
