/** What a verifier asks the store beside the records themselves. */
import type { ClientBase } from 'pg';
import { FINDINGS_LISTED_MAX } from '../ledger/stream-check.ts';
import type { TimeRange } from '../ledger/verify/segments.ts';

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

/** What the login sees of a stream. */
export interface Extent {
  /** Rows, and those of them that have a number which can be one. */
  readonly rows: number;
  readonly records: number;
  /** Of the records; 0 and -1 where there is none. */
  readonly first: number;
  readonly last: number;
  /** Behind the last place of which a purge has left the hashes. */
  readonly stubsTo: number;
}

/** Measures all streams, or these, by their number: also such as audit.streams does not have. */
export async function measureStreams(
  client: ClientBase,
  of: readonly Stream[] | null,
): Promise<ReadonlyMap<number, Extent>> {
  const only = of?.map((stream) => stream.stream_id) ?? null;
  const found = await client.query<ExtentRow>(
    `SELECT coalesce(r.stream_id, u.stream_id) AS stream_id, coalesce(r.rows, 0) AS rows,
       coalesce(r.records, 0) AS records, r.first, r.last, coalesce(u.stubs_to, 0) AS stubs_to
     FROM (SELECT stream_id, count(*) AS rows, count(*) FILTER (WHERE ${IS_SEQ}) AS records,
             min(seq) FILTER (WHERE ${IS_SEQ}) AS first, max(seq) FILTER (WHERE ${IS_SEQ}) AS last
           FROM audit.records WHERE $1::int4[] IS NULL OR stream_id = ANY ($1) GROUP BY 1) r
     FULL JOIN (SELECT stream_id, max(seq) + 1 AS stubs_to
           FROM audit.stubs WHERE $1::int4[] IS NULL OR stream_id = ANY ($1) GROUP BY 1) u USING (stream_id)`,
    [only],
  );
  return new Map(
    found.rows.map(({ stream_id, rows, records, first, last, stubs_to }) => [
      stream_id,
      {
        ...{ rows: Number(rows), records: Number(records), stubsTo: Number(stubs_to) },
        ...{ first: Number(first ?? 0), last: Number(last ?? -1) },
      },
    ]),
  );
}

const IS_SEQ = `seq >= 0 AND seq < ${Number.MAX_SAFE_INTEGER}`;

interface ExtentRow {
  readonly stream_id: number;
  readonly rows: string;
  readonly records: string;
  readonly first: string | null;
  readonly last: string | null;
  readonly stubs_to: string;
}

/**
 * Which records of streams, by their number, the agent received in [since, until): none where `from` is `to`. By the column that
 * says so, which may have been edited: the records on either side have to show it, for `received_at` never falls within a stream.
 */
export async function findReceived(
  client: ClientBase,
  { since, until }: TimeRange,
): Promise<ReadonlyMap<number, { readonly from: number; readonly to: number }>> {
  const found = await client.query<{ stream_id: number; from: string; to: string }>(
    `SELECT stream_id, coalesce(max(seq) FILTER (WHERE received_at < $1) + 1, min(seq)) AS "from",
       coalesce(min(seq) FILTER (WHERE received_at >= $2), max(seq) + 1) AS "to"
     FROM audit.records WHERE ${IS_SEQ} GROUP BY 1`,
    [since, until],
  );
  return new Map(
    found.rows.map(({ stream_id, from, to }) => [
      stream_id,
      { from: Number(from), to: Math.max(Number(from), Number(to)) },
    ]),
  );
}

/** Records that may be at fault: of a part of the store, or those that the agent received in a time. */
export type Part = Span | TimeRange;

/** `<stream_id> <seq>` -> how often the event of that record is shown, where that is not once. */
export async function findMiscounted(
  client: ClientBase,
  part?: Part,
): Promise<Map<string, number>> {
  const found = await client.query<{ stream_id: number; seq: string; shown: string }>(
    `WITH miscounted AS (
       SELECT tenant_id, event_id, count(*) FILTER (WHERE NOT duplicate) AS shown
       FROM audit.records r ${countedIn(part)}
       GROUP BY tenant_id, event_id
       HAVING count(*) FILTER (WHERE NOT duplicate) <> 1 LIMIT $1)
     SELECT r.stream_id, r.seq, m.shown
     FROM miscounted m JOIN audit.records r USING (tenant_id, event_id) ${isSpan(part) ? ELSEWHERE : ''} LIMIT $1`,
    [FINDINGS_LISTED_MAX, ...valuesOf(part)],
  );
  return new Map(found.rows.map((row) => [`${row.stream_id} ${row.seq}`, Number(row.shown)]));
}

/** Records counted as a repetition that tell of something else: an act under the id of an earlier one. */
export async function findReused(
  client: ClientBase,
  part?: Part,
): Promise<{ stream: string; seq: string }[]> {
  const said = 'actor_type actor_id on_behalf_of_id action outcome resource_type resource_id';
  const columnsOf = (row: string): string =>
    said.replace(/\w+/g, `${row}.$&`).replaceAll(' ', ', ');
  const found = await client.query<{ stream: string; seq: string }>(
    `SELECT d.stream, d.seq FROM audit.sealed_records d JOIN audit.records e
       ON e.tenant_id = d.tenant_id AND e.event_id = d.event_id AND NOT e.duplicate
     WHERE d.duplicate AND (${columnsOf('d')}) IS DISTINCT FROM (${columnsOf('e')})
       ${part === undefined ? '' : `AND ${within(part).replaceAll('r.', 'd.')}`}
     ORDER BY 1, 2 LIMIT $1`,
    [REUSED_NOTED_MAX, ...valuesOf(part)],
  );
  return found.rows;
}

/** An event whose id was used for an act of another time is shown there. */
const ELSEWHERE = `WHERE m.shown > 0 OR NOT EXISTS (SELECT FROM audit.records o
       WHERE o.tenant_id = m.tenant_id AND o.event_id = m.event_id AND NOT o.duplicate)`;

const isSpan = (part: Part | undefined): part is Span => part !== undefined && 'tenant' in part;

/** Of row `r`. */
function within(part: Part): string {
  return isSpan(part)
    ? 'r.tenant_id = $2 AND r.occurred_at >= $3 AND r.occurred_at < $4'
    : `r.received_at >= coalesce($2, '-infinity'::timestamptz)
       AND r.received_at < coalesce($3, 'infinity'::timestamptz)`;
}

/** Which rows are counted: of a span, those in it, for two records of one event state the same time. */
function countedIn(part: Part | undefined): string {
  if (part === undefined) return '';
  if (isSpan(part)) return `WHERE ${within(part)}`;
  return `WHERE (tenant_id, event_id) IN (SELECT tenant_id, event_id FROM audit.records r WHERE ${within(part)})`;
}

function valuesOf(part: Part | undefined): readonly (string | null)[] {
  if (part === undefined) return [];
  const times = [part.since, part.until];
  return isSpan(part) ? [part.tenant, ...times] : times;
}
