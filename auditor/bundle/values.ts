/** What a row shows of a record is what the record says: for the columns that show a member of the event. Pure. */
import type { AnswerRow, Column } from '../answer.ts';
import { COMMON, ROWS, type RecordColumn } from '../questions/columns.ts';
import type { Resolved } from '../questions/question.ts';

/** Columns that need nothing but the event. */
const OF_THE_EVENT: ReadonlyMap<string, RecordColumn> = new Map(
  [...COMMON, ROWS].map((column) => [column.name, column]),
);
const NO_QUESTION = {} as Resolved;

/** Says which column shows something else than the event; null: none. */
export function findOtherValue(
  columns: readonly Column[],
  values: AnswerRow['values'],
  event: unknown,
): string | null {
  for (const [at, { name, title }] of columns.entries()) {
    const known = OF_THE_EVENT.get(name);
    if (known !== undefined && known.of(event, NO_QUESTION, []) !== (values[at] ?? null))
      return `the column ${title} shows something else than the record says`;
  }
  return null;
}
