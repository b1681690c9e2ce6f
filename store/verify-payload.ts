/**
 * The column `payload`, each event as jsonb, which queries read. The server computes it from the text: PostgreSQL 18 each time that it
 * is read, older ones once, and whoever owns the database can have it computed otherwise, or edit what is stored.
 */
import type { ClientBase } from 'pg';
import { FINDINGS_LISTED_MAX } from '../ledger/stream-check.ts';
import type { TimeRange } from '../ledger/verify/segments.ts';
import { codeOf } from '../schemas/result.ts';

/** Null where jsonb cannot hold the event, as in migration 0001. */
const COMPUTED = String.raw`(
  CASE WHEN event_bytes NOT LIKE '%\\u%' OR event_bytes !~ '(?<!\\)(\\\\)*\\u(0000|[dD][89a-fA-F])'
  THEN event_bytes::jsonb END)`;

/** What PostgreSQL 18 makes of migration 0001, white space aside. */
const AS_MADE = String.raw`CASE WHEN ((event_bytes IS JSON) AND ((event_bytes !~~ '%\\u%'::text)
  OR (event_bytes !~ '(?<!\\)(\\\\)*\\u(0000|[dD][89a-fA-F])'::text))) THEN (event_bytes)::jsonb ELSE NULL::jsonb END`;

/** Of the table and each of its partitions. */
const HOW_MADE = `
SELECT DISTINCT a.attgenerated AS kind, pg_get_expr(d.adbin, d.adrelid) AS expression
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attname = 'payload' AND (a.attrelid = 'audit.records'::regclass
  OR a.attrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit.records'::regclass))`;

const EDITED = `
SELECT s.stream, r.seq FROM audit.records r JOIN audit.streams s USING (stream_id)
WHERE ($2::text IS NULL OR s.stream = $2) AND r.received_at >= coalesce($3, '-infinity'::timestamptz)
  AND r.received_at < coalesce($4, 'infinity'::timestamptz) AND r.payload IS DISTINCT FROM ${COMPUTED}
ORDER BY 1, 2 LIMIT $1`;

export interface PayloadScope {
  /** Name of the one stream; default all. */
  readonly stream: string | undefined;
  /** When the agent received the records; default at any time. */
  readonly range: TimeRange | undefined;
}

/**
 * The first records whose `payload` says something else than the event. Null: a text among them is no JSON, which nobody has sealed, and
 * then none is compared. Within a transaction. Rejects with the database's error.
 */
export async function findEditedPayloads(
  client: ClientBase,
  { stream, range }: PayloadScope,
): Promise<readonly { readonly stream: string; readonly seq: number }[] | null> {
  if (await isComputedWhenRead(client)) return [];
  await client.query('SAVEPOINT payloads');
  try {
    const values = [
      FINDINGS_LISTED_MAX,
      stream ?? null,
      range?.since ?? null,
      range?.until ?? null,
    ];
    const found = await client.query<{ stream: string; seq: string }>(EDITED, values);
    return found.rows.map(({ stream: name, seq }) => ({ stream: name, seq: Number(seq) }));
  } catch (error) {
    // Class 22: it cannot be cast.
    if (!codeOf(error).startsWith('22')) throw error;
    await client.query('ROLLBACK TO SAVEPOINT payloads');
    return null;
  }
}

async function isComputedWhenRead(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ kind: string; expression: string | null }>(HOW_MADE);
  const bare = (text: string | null): string | undefined => text?.replace(/\s/g, '');
  return rows.every(({ kind, expression }) => kind === 'v' && bare(expression) === bare(AS_MADE));
}
