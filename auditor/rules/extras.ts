/** What rows show of a record that the database computes, said once more in plain code. Pure. */
import { memberOf } from '../../schemas/untrusted-json.ts';
import type { AnswerRow, Column } from '../answer.ts';
import type { Resolved } from '../questions/question.ts';
import { customerOf } from './assignments.ts';
import { clockText } from './clock.ts';
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
