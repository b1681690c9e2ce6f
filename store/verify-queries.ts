/** What a verifier asks the store beside the records themselves. */
import type { ClientBase } from 'pg';
import { FINDINGS_LISTED_MAX } from '../ledger/stream-check.ts';

const REUSED_NOTED_MAX = 20;

export interface Stream {
  readonly stream_id: number;
  readonly stream: string;
  readonly tenant_id: string;
}

/** A part of the store: events of a tenant that happened in [since, until). */
export interface Span {
  readonly tenant: string;
  readonly since: string;
  readonly until: string;
}

/** Streams that the login sees, all or one. */
export async function listStreams(client: ClientBase, only: string | undefined): Promise<Stream[]> {
  const found = await client.query<Stream>(
    `SELECT stream_id, stream, tenant_id FROM audit.streams
     WHERE $1::text IS NULL OR stream = $1 ORDER BY stream`,
    [only ?? null],
  );
  return found.rows;
}

/** How many records it sees, of all streams or of these. */
export async function countRecords(
  client: ClientBase,
  of: readonly Stream[] | null,
): Promise<number> {
  const found = await client.query<{ n: string }>(
    'SELECT count(*) AS n FROM audit.records WHERE $1::int4[] IS NULL OR stream_id = ANY ($1)',
    [of?.map((stream) => stream.stream_id) ?? null],
  );
  return Number(found.rows[0]?.n);
}

/** `<stream_id> <seq>` -> how often the event of that record is shown, where that is not once. */
export async function findMiscounted(
  client: ClientBase,
  span?: Span,
): Promise<Map<string, number>> {
  const found = await client.query<{ stream_id: number; seq: string; shown: string }>(
    `WITH miscounted AS (
       SELECT tenant_id, event_id, count(*) FILTER (WHERE NOT duplicate) AS shown
       FROM audit.records r ${span === undefined ? '' : `WHERE ${WITHIN}`}
       GROUP BY tenant_id, event_id
       HAVING count(*) FILTER (WHERE NOT duplicate) <> 1 LIMIT $1)
     SELECT r.stream_id, r.seq, m.shown
     FROM miscounted m JOIN audit.records r USING (tenant_id, event_id) ${span === undefined ? '' : ELSEWHERE} LIMIT $1`,
    [FINDINGS_LISTED_MAX, ...valuesOf(span)],
  );
  return new Map(found.rows.map((row) => [`${row.stream_id} ${row.seq}`, Number(row.shown)]));
}

/** Records counted as a repetition that tell of something else: an act under the id of an earlier one. */
export async function findReused(
  client: ClientBase,
  span?: Span,
): Promise<{ stream: string; seq: string }[]> {
  const said = 'actor_type actor_id on_behalf_of_id action outcome resource_type resource_id';
  const columnsOf = (row: string): string =>
    said.replace(/\w+/g, `${row}.$&`).replaceAll(' ', ', ');
  const found = await client.query<{ stream: string; seq: string }>(
    `SELECT d.stream, d.seq FROM audit.sealed_records d JOIN audit.records e
       ON e.tenant_id = d.tenant_id AND e.event_id = d.event_id AND NOT e.duplicate
     WHERE d.duplicate AND (${columnsOf('d')}) IS DISTINCT FROM (${columnsOf('e')})
       ${span === undefined ? '' : `AND ${WITHIN.replaceAll('r.', 'd.')}`}
     ORDER BY 1, 2 LIMIT $1`,
    [REUSED_NOTED_MAX, ...valuesOf(span)],
  );
  return found.rows;
}

/** An event whose id was used for an act of another time is shown there. */
const ELSEWHERE = `WHERE m.shown > 0 OR NOT EXISTS (SELECT FROM audit.records o
       WHERE o.tenant_id = m.tenant_id AND o.event_id = m.event_id AND NOT o.duplicate)`;
/** Of row `r`; two records of one event state the same time. */
const WITHIN = 'r.tenant_id = $2 AND r.occurred_at >= $3 AND r.occurred_at < $4';

function valuesOf(span: Span | undefined): readonly string[] {
  return span === undefined ? [] : [span.tenant, span.since, span.until];
}
