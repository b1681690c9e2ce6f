/** What rows show of a record that the database computes, said once more in plain code. Pure. */
import { memberOf } from '../../schemas/untrusted-json.ts';
import type { AnswerRow, Column } from '../answer.ts';
import type { Resolved } from '../questions/question.ts';
import { customerOf } from './assignments.ts';
import { clockText, offsetMs } from './clock.ts';
import { factsOf, type Facts } from './facts.ts';

type Value = AnswerRow['values'][number];
/** Whether a column may show the value of this record. */
type Shows = (value: Value, said: Said) => boolean;

interface Said {
  readonly event: unknown;
  readonly facts: Facts;
  readonly question: Resolved;
}

const EXTRAS: ReadonlyMap<string, Shows> = new Map<string, Shows>([
  ['local_time', (value, { facts, question }) => value === clockText(facts.ms, question.timeZone)],
  ['customer', (value, { facts }) => value === customerOf(facts)],
  ['producer', (value, { event }) => value === producerOf(event, 'id')],
  // Where a gap begins, the record before it says, which is no part of the row.
  [
    'missing_from',
    (value, said) => typeof value === 'number' && value > 0 && value <= lastMissing(said),
  ],
  ['missing_to', (value, said) => value === lastMissing(said)],
]);

const CLOCK = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d) [A-Z][a-z]{2}$/;
const QUARTER_MS = 900_000;
/** So far apart two releases of a time zone's rules are. */
const APART_MS = 2 * 3_600_000;

/** Whether a local time is not the one that is known here, and may be that of other rules for the time zone. */
export function isOtherClock(
  value: Value,
  event: unknown,
  text: string,
  timeZone: string,
): boolean {
  const [, day = '', time = ''] = CLOCK.exec(String(value)) ?? [];
  const shown = Date.parse(`${day}T${time}Z`);
  const { ms } = factsOf(event, text);
  const apart = Math.abs(shown - Math.floor(ms / 1000) * 1000 - offsetMs(ms, timeZone));
  const isRight = value !== '' && clockText(shown, 'UTC') === value;
  return isRight && apart > 0 && apart <= APART_MS && apart % QUARTER_MS === 0;
}

/** Of these columns, those that show what the database computed. */
export function extrasOf(columns: readonly Column[]): readonly Column[] {
  return columns.filter(({ name }) => EXTRAS.has(name));
}

/** Creates the check of such columns: whether one shows something else than the record gives. */
export function createExtraCheck(
  event: unknown,
  text: string,
  question: Resolved,
): (name: string, value: Value) => boolean {
  const said = { event, facts: factsOf(event, text), question };
  return (name, value) => EXTRAS.get(name)?.(value, said) === false;
}

function producerOf(event: unknown, name: string): unknown {
  return memberOf(memberOf(memberOf(event, 'chain'), 'producer'), name);
}

/** The last number before the record that neither arrived nor was refused. */
function lastMissing({ event }: Said): number {
  return Number(producerOf(event, 'seq')) - Number(producerOf(event, 'refused') ?? 0) - 1;
}
