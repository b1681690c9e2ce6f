/** What a row shows of a record is what the record says. Pure. */
import type { AnswerRow, Column } from '../answer.ts';
import { COMMON, ROWS, type RecordColumn } from '../questions/columns.ts';
import type { Resolved } from '../questions/question.ts';
import { createExtraCheck } from '../rules/extras.ts';

/** Columns that need nothing but the event. */
const OF_THE_EVENT: ReadonlyMap<string, RecordColumn> = new Map(
  [...COMMON, ROWS].map((column) => [column.name, column]),
);
const NO_QUESTION = {} as Resolved;

/** Says which column shows something else than the event gives; null: none. Without the question some cannot be told. */
export function findOtherValue(
  columns: readonly Column[],
  values: AnswerRow['values'],
  { event, text }: { readonly event: unknown; readonly text: string },
  question: Resolved | null,
): string | null {
  const isOther = question === null ? () => false : createExtraCheck(event, text, question);
  for (const [at, { name, title }] of columns.entries()) {
    const value = values[at] ?? null;
    const known = OF_THE_EVENT.get(name);
    if (known === undefined ? isOther(name, value) : known.of(event, NO_QUESTION, []) !== value)
      return `the column ${title} shows something else than the record says`;
  }
  return null;
}
