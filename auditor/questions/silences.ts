/** Times in which nothing arrived. */
import { NOTHING, sql } from '../sql.ts';
import type { Question } from './question.ts';
import { asKey, asTime, limitOf } from './records.ts';

export const silences: Question = {
  id: 'silences',
  title: 'When did nothing arrive?',
  help: 'Times without any event of the tenant, or of one agent, that were longer than you say; from the beginning of the time that you choose to its end. At night that may be right; at noon something may have stopped.',
  parameters: [
    {
      name: 'minutes',
      title: 'Longer than',
      help: 'for how many minutes nothing may arrive without being shown',
      kind: 'number',
      default: '60',
      example: '15',
    },
    {
      name: 'agent',
      title: 'Agent',
      help: 'look at the events that came by this agent alone (by any, where none is named); its name is the second part of the names of its streams',
      kind: 'text',
      default: '',
      example: 'shop-1',
    },
  ],
  columns: [
    { name: 'from', title: 'From', kind: 'time' },
    { name: 'to', title: 'To', kind: 'time' },
    { name: 'minutes', title: 'Minutes', kind: 'number' },
  ],
  key: ['time'],
  check: (question) =>
    question.number('minutes') >= 1
      ? null
      : { kind: 'invalid', parameter: 'minutes', message: 'must be at least 1' },
  build: (question, page) => {
    const { tenant, since, until } = question;
    const agent = question.text('agent');
    const from = page.after?.[0] ?? since;
    const most = sql`${question.number('minutes')}::float8 * interval '1 minute'`;
    const mine = sql`r.tenant_id = ${tenant} AND NOT r.duplicate
    AND r.occurred_at >= ${from}::timestamptz AND r.occurred_at < ${until}::timestamptz`;
    const streams = sql`SELECT s.stream_id FROM audit.streams s
      WHERE s.tenant_id = ${tenant} AND split_part(s.stream, '/', 2) = ${agent}`;
    // Of an agent that has no stream nothing is looked for in the records.
    const ofAgent =
      agent === ''
        ? NOTHING
        : sql`AND EXISTS (${streams}) AND r.stream_id = ANY (ARRAY(${streams}))`;
    // Where two milestones are near enough, nothing in between is looked at; where they are not, it goes from a record to
    // the last one that is near enough, and where there is none to the next one. Of an agent there are no milestones.
    const milestones =
      agent === ''
        ? sql`SELECT r.occurred_at AS at FROM audit.records r WHERE ${mine} AND r.seq % 128 = 0 UNION ALL `
        : NOTHING;
    return sql`WITH stretches AS (
  SELECT lag(m.at, 1, ${from}::timestamptz) OVER (ORDER BY m.at) AS begins, m.at AS ends
  FROM (${milestones}SELECT ${until}::timestamptz AS at) m
)
SELECT ${asKey('w.to_time')} AS key, ${asTime('w.from_time')} AS from_time, ${asTime('w.to_time')} AS to_time,
  (extract(epoch FROM w.to_time - w.from_time) / 60)::float8::text AS minutes
FROM stretches
CROSS JOIN LATERAL (
  WITH RECURSIVE walk (from_time, to_time, is_gap, gaps) AS (
    SELECT NULL::timestamptz, stretches.begins, false, 0
    UNION ALL
    SELECT w.to_time, step.at, step.is_gap, w.gaps + step.is_gap::int
    FROM walk w
    CROSS JOIN LATERAL (SELECT (SELECT r.occurred_at FROM audit.records r
      WHERE ${mine} ${ofAgent} AND r.occurred_at > w.to_time AND r.occurred_at <= w.to_time + ${most}
      ORDER BY r.occurred_at DESC LIMIT 1) AS at OFFSET 0) near
    CROSS JOIN LATERAL (SELECT CASE WHEN near.at IS NULL THEN coalesce((SELECT r.occurred_at FROM audit.records r
      WHERE ${mine} ${ofAgent} AND r.occurred_at > w.to_time + ${most} ORDER BY r.occurred_at LIMIT 1), ${until}::timestamptz) ELSE near.at END AS at OFFSET 0) next
    CROSS JOIN LATERAL (SELECT next.at, next.at > w.to_time + ${most} AS is_gap) step
    WHERE w.to_time < stretches.ends ${page.limit === null ? NOTHING : sql`AND w.gaps < ${page.limit}::int8`}
  )
  SELECT * FROM walk WHERE walk.is_gap
) w
WHERE stretches.ends > stretches.begins + ${most}
ORDER BY stretches.ends, w.to_time
${limitOf(page)}`;
  },
  readRow: ([, from = null, to = null, minutes = null]) => ({
    values: [from, to, Number(minutes)],
    record: null,
  }),
};
