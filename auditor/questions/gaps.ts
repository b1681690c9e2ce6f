/** What is not there: numbers that a producer gave and no record has, and times without any record. */
import { NOTHING, sql, type Sql } from '../sql.ts';
import { COMMON, column } from './columns.ts';
import type { Question } from './question.ts';
import { asKey, asTime, behind, limitOf, ORDER, recordQuestion, SELECT } from './records.ts';

export const producerGaps: Question = recordQuestion({
  id: 'producer-gaps',
  title: 'Did an application lose events?',
  help: 'Events that a running application numbered, and that neither arrived nor were refused: the row is the event right behind them. Events of all tenants are numbered together, so it takes a login that sees every tenant: to others, the events of other tenants look lost. Every event of the time is read: ask about a day.',
  parameters: [],
  columns: [
    column('producer', 'Instance', (_event, _question, extra) => extra[0] ?? null),
    column(
      'missing_from',
      'Missing from',
      (_event, _question, extra) => toNumber(extra[1]),
      'number',
    ),
    column('missing_to', 'Missing to', (_event, _question, extra) => toNumber(extra[2]), 'number'),
    ...COMMON,
  ],
  build: (question, page) => {
    const { tenant, since, until } = question;
    // By its text: canonical JSON has this one form, and jsonb cannot hold every event. The agent's own numbers,
    // in category audit_trail, run over all tenants by themselves.
    return sql`WITH numbers AS (
  SELECT r.tenant_id, r.occurred_at, r.stream_id, r.seq, split_part(said, '"', 1) AS producer,
    ${numberAfter('"seq":')} AS number, coalesce(${numberAfter('"refused":')}, 0) AS refused
  FROM audit.records r
  CROSS JOIN LATERAL (SELECT split_part(split_part(r.event_bytes, '"chain":{"producer":{"id":"', 2), '}', 1) AS said
    OFFSET 0) chain
  WHERE r.occurred_at >= ${since}::timestamptz AND r.occurred_at < ${until}::timestamptz
    AND r.category <> 'audit_trail'
), steps AS (
  SELECT n.*, lag(n.number) OVER (PARTITION BY n.producer ORDER BY n.number, n.stream_id, n.seq) AS before
  FROM numbers n
)
SELECT ${SELECT}, r.producer, (r.before + 1)::text, (r.number - r.refused - 1)::text
FROM (
  SELECT gap.*, whole.event_id, whole.event_bytes, whole.prev_hash, whole.this_hash
  FROM (
    SELECT * FROM steps r WHERE tenant_id = ${tenant} AND number > before + 1 + refused ${behind(page)}
    ORDER BY ${ORDER}
    ${limitOf(page)} OFFSET 0
  ) gap
  CROSS JOIN LATERAL (
    SELECT w.event_id, w.event_bytes, w.prev_hash, w.this_hash FROM audit.records w
    WHERE w.stream_id = gap.stream_id AND w.seq = gap.seq AND w.occurred_at = gap.occurred_at
    OFFSET 0) whole
) r
ORDER BY ${ORDER}
${limitOf(page)}`;
  },
});

/** The number behind a name in what the record says of its producer. */
function numberAfter(name: string): Sql {
  const digits = sql`split_part(split_part(said, ${name}, 2), ',', 1)`;
  return sql`CASE WHEN ${digits} ~ '^[0-9]{1,16}$' THEN (${digits})::int8 END`;
}

function toNumber(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

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
    const mine = sql`r.tenant_id = ${tenant} AND NOT r.duplicate AND r.occurred_at < ${until}::timestamptz
    ${agent === '' ? NOTHING : sql`AND r.stream_id = ANY (ARRAY(SELECT s.stream_id FROM audit.streams s WHERE s.tenant_id = ${tenant} AND split_part(s.stream, '/', 2) = ${agent}))`}`;
    // From a record to the last one that is near enough, and where there is none to the next one: only the ends of
    // such steps are read, not what lies between.
    return sql`WITH RECURSIVE walk (from_time, to_time, is_gap, gaps) AS (
  SELECT NULL::timestamptz, ${from}::timestamptz, false, 0
  UNION ALL
  SELECT w.to_time, coalesce(near.at, next.at, ${until}::timestamptz),
    near.at IS NULL AND coalesce(next.at, ${until}::timestamptz) > w.to_time + ${most},
    w.gaps + CASE WHEN near.at IS NULL AND coalesce(next.at, ${until}::timestamptz) > w.to_time + ${most} THEN 1 ELSE 0 END
  FROM walk w
  LEFT JOIN LATERAL (
    SELECT r.occurred_at AS at FROM audit.records r
    WHERE ${mine} AND r.occurred_at > w.to_time AND r.occurred_at <= w.to_time + ${most}
    ORDER BY r.occurred_at DESC LIMIT 1) near ON true
  LEFT JOIN LATERAL (
    SELECT r.occurred_at AS at FROM audit.records r
    WHERE near.at IS NULL AND ${mine} AND r.occurred_at > w.to_time + ${most}
    ORDER BY r.occurred_at LIMIT 1) next ON true
  WHERE w.to_time < ${until}::timestamptz ${page.limit === null ? NOTHING : sql`AND w.gaps < ${page.limit}::int8`}
)
SELECT ${asKey('w.to_time')} AS key, ${asTime('w.from_time')} AS from_time, ${asTime('w.to_time')} AS to_time,
  (extract(epoch FROM w.to_time - w.from_time) / 60)::float8::text AS minutes
FROM walk w
WHERE w.is_gap
ORDER BY w.to_time
${limitOf(page)}`;
  },
  readRow: ([, from = null, to = null, minutes = null]) => ({
    values: [from, to, Number(minutes)],
    record: null,
  }),
};
