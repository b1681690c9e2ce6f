/** Numbers that a producer gave and no record has. */
import { sql, type Sql } from '../sql.ts';
import { COMMON, column } from './columns.ts';
import type { Question } from './question.ts';
import { behind, limitOf, ORDER, recordQuestion, SELECT } from './records.ts';

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
  SELECT r.tenant_id, r.occurred_at, r.stream_id, r.seq, chain.producer, ${toInteger('seq')} AS number,
    coalesce(${toInteger('refused')}, 0) AS refused
  FROM audit.records r
  CROSS JOIN LATERAL (SELECT split_part(said, '"', 1) AS producer, split_part(said, '"seq":', 2) AS seq,
    split_part(split_part(said, '"refused":', 2), ',', 1) AS refused
    FROM (SELECT split_part(split_part(r.event_bytes, '"chain":{"producer":{"id":"', 2), '}', 1) AS said OFFSET 0) producer
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
      AND w.occurred_at >= ${since}::timestamptz AND w.occurred_at < ${until}::timestamptz
    OFFSET 0) whole
) r
ORDER BY ${ORDER}
${limitOf(page)}`;
  },
});

/** No regular expression: it would take longer than all the rest of a record. */
function toInteger(member: 'seq' | 'refused'): Sql {
  const m: Sql = { text: [`chain.${member}`], values: [] };
  return sql`CASE WHEN ltrim(${m}, '0123456789') = '' AND octet_length(${m}) BETWEEN 1 AND 16 THEN ${m}::int8 END`;
}

function toNumber(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}
