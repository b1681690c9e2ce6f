/** What a row shows of a record is what the record says: for the columns that show a member of the event. Pure. */
import { memberOf } from '../../schemas/untrusted-json.ts';
import type { AnswerRow, Column } from '../answer.ts';

/** Columns by name, and where their value stands in an event. */
const MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['time', ['event', 'time']],
  ['actor', ['actor', 'id']],
  ['on_behalf_of', ['actor', 'on_behalf_of', 'id']],
  ['action', ['event', 'action']],
  ['outcome', ['event', 'outcome']],
  ['resource_type', ['resource', 'type']],
  ['resource_id', ['resource', 'id']],
  ['service', ['source', 'service']],
  ['event_id', ['event_id']],
]);

/** Says which column shows something else than the event; null: none. */
export function findOtherValue(
  columns: readonly Column[],
  values: AnswerRow['values'],
  event: unknown,
): string | null {
  for (const [at, { name, title }] of columns.entries()) {
    const path = MEMBERS.get(name);
    if (path === undefined) continue;
    const said = path.reduce<unknown>(memberOf, event) ?? null;
    if (said !== (values[at] ?? null))
      return `the column ${title} shows something else than the record says`;
  }
  return null;
}
