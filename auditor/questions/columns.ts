/**
 * Columns of rows that are records. Their values are read from the bytes that were hashed, not from the columns of the
 * table beside them: what is shown is what the certificate judges.
 */
import { memberOf, readJson } from '../../schemas/untrusted-json.ts';
import type { Column } from '../answer.ts';
import type { RawRow, Resolved } from './question.ts';

/** How a value is found in an event, which may have any form: it may be forged; or in what else the question selects. */
export type ValueOf = (event: unknown, question: Resolved, extra: RawRow) => string | number | null;

export interface RecordColumn extends Column {
  readonly of: ValueOf;
}

/** The member at a path, where it is a text or a number. Of a forged event both may have no form in which they are written. */
export function valueAt(...path: readonly string[]): ValueOf {
  return (event) => {
    const found = path.reduce<unknown>(memberOf, event);
    if (typeof found === 'string') return found.toWellFormed();
    return Number.isFinite(found) ? (found as number) : null;
  };
}

/** The event of a record; null where its bytes are no JSON. */
export function readEvent(eventBytes: string): unknown {
  return readJson(eventBytes);
}

export function column(
  name: string,
  title: string,
  of: ValueOf,
  kind: Column['kind'] = 'text',
): RecordColumn {
  return { name, title, kind, of };
}

export const TIME: RecordColumn = column('time', 'Time', valueAt('event', 'time'), 'time');
export const TICKET: RecordColumn = column('ticket', 'Ticket', ticketOf);
export const ROWS: RecordColumn = column(
  'row_count',
  'Rows',
  valueAt('metadata', 'row_count'),
  'number',
);

export const COMMON: readonly RecordColumn[] = [
  TIME,
  column('actor', 'Actor', valueAt('actor', 'id')),
  column('on_behalf_of', 'Acting as', valueAt('actor', 'on_behalf_of', 'id')),
  column('action', 'Action', valueAt('event', 'action')),
  column('outcome', 'Outcome', valueAt('event', 'outcome')),
  column('resource_type', 'Kind of record', valueAt('resource', 'type')),
  column('resource_id', 'Record', valueAt('resource', 'id')),
  TICKET,
  column('service', 'Service', valueAt('source', 'service')),
  column('event_id', 'Event', valueAt('event_id')),
];

/** In a reason, a ticket is letters, a hyphen and digits: `T-4711`, `SUP-10442`. */
export const TICKET_PATTERN = '[A-Z]{1,10}-[0-9]{1,12}';
const TICKET_IN_TEXT = new RegExp(TICKET_PATTERN);

/** The ticket that an event names: its own member, or one within the reason. */
function ticketOf(event: unknown): string | null {
  const metadata = memberOf(event, 'metadata');
  const ticket = memberOf(metadata, 'ticket');
  if (typeof ticket === 'string' && ticket !== '') return ticket.toWellFormed();
  const reason = memberOf(metadata, 'reason');
  return typeof reason === 'string' ? (TICKET_IN_TEXT.exec(reason)?.[0] ?? null) : null;
}
