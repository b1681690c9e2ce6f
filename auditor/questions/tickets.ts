/**
 * Accesses and their tickets. An event names its ticket as `metadata.ticket`, or within `metadata.reason`. What ticket
 * is whose is in the trail as well: `ticket.assign` on the resource {ticket, T-123} with `metadata.assignee` and
 * `metadata.customer` begins an assignment; the next `ticket.assign` or a `ticket.close` of that ticket ends it.
 */
import { sql, type Sql } from '../sql.ts';
import { COMMON, column, TICKET_PATTERN } from './columns.ts';
import { ACTIONS, actionIn, ACTOR, ANY } from './parameters.ts';
import type { Page, Question, Resolved } from './question.ts';
import {
  behind,
  inRange,
  limitOf,
  ORDER,
  recordQuestion,
  recordsWhere,
  SELECT,
} from './records.ts';

/** The ticket that `r` names, else ''; of an event that jsonb cannot hold, ''. */
const NAMED: Sql = sql`coalesce(nullif(r.payload -> 'metadata' ->> 'ticket', ''),
    substring(r.payload -> 'metadata' ->> 'reason' FROM ${TICKET_PATTERN}), '')`;

export const accessWithoutTicket: Question = recordQuestion({
  id: 'access-without-ticket',
  title: 'Who saw health or financial data without a ticket?',
  help: 'Successful accesses that name no ticket, neither as metadata.ticket nor within metadata.reason.',
  parameters: [ACTIONS],
  columns: COMMON,
  build: (question, page) => {
    const condition = sql`r.outcome = 'success' AND ${NAMED} = ''`;
    return question.list('actions').includes(ANY)
      ? recordsWhere(question, page, condition)
      : byAction(question, page, condition);
  },
});

/** Each action is a walk along its own index, and only as far as the page goes. */
function byAction(question: Resolved, page: Page, condition: Sql): Sql {
  return sql`SELECT r.*
FROM unnest(${question.list('actions')}::text[]) AS asked (action)
CROSS JOIN LATERAL (
  SELECT ${SELECT}, r.occurred_at AS at, r.stream_id AS in_stream, r.seq AS at_seq
  FROM audit.records r
  WHERE ${inRange(question, page)}
    AND r.action = asked.action AND ${condition}
    ${behind(page)}
  ORDER BY ${ORDER}
  ${limitOf(page)}
) r
ORDER BY r.at, r.in_stream, r.at_seq
${limitOf(page)}`;
}

export const accessOutsideTickets: Question = recordQuestion({
  id: 'access-outside-tickets',
  title: 'What did this person access that no ticket of theirs covers?',
  help: 'Successful accesses while no ticket was assigned to the actor for that customer: the customer is metadata.customer, the record itself where it is a customer, or whom the actor acted as. Where an event names a ticket, it must be that one.',
  parameters: [ACTOR, ACTIONS],
  columns: [
    ...COMMON,
    column('customer', 'Customer', (_event, _question, extra) => extra[0] ?? null),
  ],
  build: (question, page) => {
    const actor = question.text('actor');
    // A cheap look at the text first: of all assignments a person has few. Canonical JSON has but this one form.
    const assignee = `"assignee":${JSON.stringify(actor)}`;
    return sql`WITH assigned AS MATERIALIZED (
  SELECT r.resource_id AS ticket, r.payload -> 'metadata' ->> 'customer' AS customer,
    r.occurred_at AS from_time, coalesce((
      SELECT e.occurred_at FROM audit.records e
      WHERE e.tenant_id = r.tenant_id AND NOT e.duplicate AND e.resource_type = 'ticket'
        AND e.resource_id = r.resource_id AND e.action IN ('ticket.assign', 'ticket.close')
        AND e.outcome = 'success' AND (e.occurred_at, e.stream_id, e.seq) > (r.occurred_at, r.stream_id, r.seq)
      ORDER BY e.occurred_at, e.stream_id, e.seq LIMIT 1), 'infinity') AS to_time
  FROM audit.records r
  WHERE r.tenant_id = ${question.tenant} AND NOT r.duplicate AND r.action = 'ticket.assign'
    AND r.outcome = 'success' AND r.resource_type = 'ticket' AND r.occurred_at < ${question.until}::timestamptz
    AND strpos(r.event_bytes, ${assignee}) > 0
    AND r.payload -> 'metadata' ->> 'assignee' = ${actor}
)
SELECT ${SELECT}, customer
FROM audit.records r
CROSS JOIN LATERAL (SELECT ${NAMED} AS ticket, ${CUSTOMER} AS customer) said
WHERE ${inRange(question, page)}
  AND r.actor_id = ${actor} AND r.outcome = 'success' ${actionIn(question)}
  AND NOT EXISTS (
    SELECT FROM assigned a
    WHERE r.occurred_at >= a.from_time AND r.occurred_at < a.to_time
      AND (said.ticket = '' OR said.ticket = a.ticket)
      AND (said.customer = a.customer OR said.customer IS NULL AND said.ticket <> ''))
  ${behind(page)}
ORDER BY ${ORDER}
${limitOf(page)}`;
  },
});

/** Whose data it is. */
const CUSTOMER: Sql = sql`coalesce(r.payload -> 'metadata' ->> 'customer',
    CASE r.resource_type WHEN 'customer' THEN r.resource_id END, r.on_behalf_of_id)`;
