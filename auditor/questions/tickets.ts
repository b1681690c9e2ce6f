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
  METADATA_TEXT,
  ORDER,
  recordQuestion,
  recordsFiltered,
  RAW,
  SELECT,
} from './records.ts';

/** The ticket that `r` names, else ''; of an event that jsonb cannot hold, ''. */
const NAMED: Sql = sql`coalesce(nullif(r.metadata ->> 'ticket', ''),
    substring(r.metadata ->> 'reason' FROM ${TICKET_PATTERN}), '')`;

/** Sure to name one, without parsing; jsonb may not hold an event with a \u. */
const SURELY_NAMED: Sql = sql`(strpos(r.event_bytes, '\\u') = 0 AND ${METADATA_TEXT} ~ '^([^{]*,)?"ticket":"[^"]')`;

export const accessWithoutTicket: Question = recordQuestion({
  id: 'access-without-ticket',
  title: 'Who saw health or financial data without a ticket?',
  help: 'Successful accesses to sensitive data for which no ticket was given as the reason. An event gives one as metadata.ticket, or within the text of metadata.reason, as T-4711.',
  parameters: [ACTIONS],
  columns: COMMON,
  build: (question, page) =>
    question.list('actions').includes(ANY)
      ? recordsFiltered(question, page, {
          condition: sql`r.outcome = 'success' AND NOT ${SURELY_NAMED}`,
          filter: sql`${NAMED} = ''`,
        })
      : byAction(question, page),
});

/** Few hours at a time, from the index of actions: their order is not that of time, and a page needs but some hours. */
function byAction(question: Resolved, page: Page): Sql {
  const { since, until } = question;
  return sql`SELECT r.*
FROM (
  SELECT begins FROM generate_series(${page.after?.[0] ?? since}::timestamptz, ${until}::timestamptz, interval '3 hours') AS begins
  ORDER BY begins
) hours
CROSS JOIN LATERAL (
  SELECT ${SELECT}, r.occurred_at AS at, r.stream_id AS in_stream, r.seq AS at_seq
  FROM (
    SELECT ${RAW}
    FROM audit.records r
    WHERE ${inRange(question, page)}
      AND r.occurred_at >= hours.begins AND r.occurred_at < hours.begins + interval '3 hours'
      ${actionIn(question)} AND r.outcome = 'success' AND NOT ${SURELY_NAMED}
      ${behind(page)}
    OFFSET 0
  ) r
  WHERE ${NAMED} = ''
) r
ORDER BY hours.begins, r.at, r.in_stream, r.at_seq
${limitOf(page)}`;
}

export const accessOutsideTickets: Question = recordQuestion({
  id: 'access-outside-tickets',
  title: 'What did this person access that no ticket of theirs covers?',
  help: 'Successful accesses to the data of a customer while no ticket for that customer was assigned to the person. Whose data it is, the event says as metadata.customer; else it is the record itself, where that is a customer, or the one in whose name the person acted. Where the event names a ticket, that one must be theirs.',
  parameters: [ACTOR, ACTIONS],
  columns: [
    ...COMMON,
    column('customer', 'Customer', (_event, _question, extra) => extra[0] ?? null),
  ],
  build: (question, page) => {
    const actor = question.text('actor');
    return sql`WITH assigned AS MATERIALIZED (
  SELECT * FROM audit.assignments(${question.tenant}, ${actor}, ${question.until}::timestamptz)
)
SELECT ${SELECT}, customer
FROM (
  SELECT ${RAW}
  FROM audit.records r
  WHERE ${inRange(question, page)}
    AND r.actor_id = ${actor} AND r.outcome = 'success' ${actionIn(question)}
    ${behind(page)}
  ORDER BY ${ORDER}
  OFFSET 0
) r
-- OFFSET 0: an event is parsed once, and not for each assignment.
CROSS JOIN LATERAL (SELECT ${NAMED} AS ticket, ${CUSTOMER} AS customer OFFSET 0) said
WHERE NOT EXISTS (
  SELECT FROM assigned a
  WHERE r.occurred_at >= a.occurred_at
    AND (said.ticket = '' OR said.ticket = a.ticket)
    AND (said.customer = a.customer OR said.customer IS NULL AND said.ticket <> '')
    -- Of the few that fit, whether it had ended; of all of them that would be dear.
    AND NOT EXISTS (
      SELECT FROM audit.records e
      WHERE e.tenant_id = ${question.tenant} AND NOT e.duplicate AND e.resource_type = 'ticket'
        AND e.resource_id = a.ticket AND e.action IN ('ticket.assign', 'ticket.close')
        AND e.outcome = 'success' AND e.occurred_at >= a.occurred_at AND e.occurred_at <= r.occurred_at
        AND (e.occurred_at, e.stream_id, e.seq) > (a.occurred_at, a.stream_id, a.seq)))
ORDER BY ${ORDER}
${limitOf(page)}`;
  },
});

/** Whose data it is. */
const CUSTOMER: Sql = sql`coalesce(r.metadata ->> 'customer',
    CASE r.resource_type WHEN 'customer' THEN r.resource_id END, r.on_behalf_of_id)`;
