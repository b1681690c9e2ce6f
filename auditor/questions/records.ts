/** Questions whose rows are records: what they select, and in which order. */
import type { Parameter } from '../answer.ts';
import { NOTHING, sql, type Sql } from '../sql.ts';
import { readEvent, type RecordColumn } from './columns.ts';
import type { KeyKind, Page, Question, Resolved } from './question.ts';

/** In the order of time; who is of the same millisecond stands as the store has it, for good. */
const KEY: readonly KeyKind[] = ['time', 'integer', 'integer'];

export const ORDER: Sql = sql`r.occurred_at, r.stream_id, r.seq`;

/** What is selected of a record `r`, the key first. Of an event that jsonb cannot hold the bytes are there as well. */
export const SELECT: Sql = sql`${asKey('r.occurred_at')} AS occurred_at, r.stream_id::text, r.seq::text,
  coalesce((SELECT s.stream FROM audit.streams s WHERE s.stream_id = r.stream_id), '') AS stream,
  r.event_id, r.event_bytes, encode(r.prev_hash, 'hex') AS prev_hash, encode(r.this_hash, 'hex') AS this_hash`;

/** A time as it is written everywhere; for columns, never for what comes from outside. */
export function asTime(column: string): Sql {
  return {
    text: [`to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`],
    values: [],
  };
}

/** The same to the microsecond: a row that somebody put there by hand must not be found page after page. */
export function asKey(column: string): Sql {
  return {
    text: [`to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`],
    values: [],
  };
}

/** The tenant's events in the range, each once, from where the page begins. */
export function inRange({ tenant, since, until }: Resolved, { after }: Page): Sql {
  return sql`r.tenant_id = ${tenant} AND NOT r.duplicate
    AND r.occurred_at >= ${after?.[0] ?? since}::timestamptz AND r.occurred_at < ${until}::timestamptz`;
}

/** Rows behind the last one of the page before. */
export function behind({ after }: Page): Sql {
  if (after === null) return NOTHING;
  const [time = '', stream = '', seq = ''] = after;
  return sql`AND (r.occurred_at, r.stream_id, r.seq) > (${time}::timestamptz, ${stream}::int4, ${seq}::int8)`;
}

export function limitOf({ limit }: Page): Sql {
  return limit === null ? NOTHING : sql`LIMIT ${limit}::int8`;
}

/** All records of the range for which a condition holds that an index knows. */
export function recordsWhere(question: Resolved, page: Page, condition: Sql): Sql {
  return sql`SELECT ${SELECT}
FROM audit.records r
WHERE ${inRange(question, page)}
  AND ${condition}
  ${behind(page)}
ORDER BY ${ORDER}
${limitOf(page)}`;
}

/**
 * The same, and of these for which `filter` holds, that no index knows. Apart, since it is dear: the records are put in
 * order first and then looked at one by one, up to the last one of the page. OFFSET 0 keeps the two apart.
 */
export function recordsFiltered(
  question: Resolved,
  page: Page,
  { condition, filter }: { readonly condition: Sql; readonly filter: Sql },
): Sql {
  return sql`SELECT ${SELECT}
FROM (
  SELECT ${RAW}
  FROM audit.records r
  WHERE ${inRange(question, page)}
    AND ${condition}
    ${behind(page)}
  ORDER BY ${ORDER}
  OFFSET 0
) r
WHERE ${filter}
ORDER BY ${ORDER}
${limitOf(page)}`;
}

/** Of a record what filters and SELECT need; `metadata` is parsed once. */
export const RAW: Sql = sql`r.occurred_at, r.stream_id, r.seq, r.tenant_id, r.event_id, r.actor_id, r.on_behalf_of_id,
    r.resource_type, r.resource_id, r.event_bytes, r.prev_hash, r.this_hash, r.payload -> 'metadata' AS metadata`;

/**
 * The bytes of metadata up to the first closing brace; '' where they are not in canonical form. A look at it tells, of
 * nearly all records and for a fraction of the price, what parsing would. A name in front of any brace is a member of
 * metadata itself: within a text a quotation mark has a backslash in front.
 */
export const METADATA_TEXT: Sql = sql`split_part(split_part(r.event_bytes, '"event_id":"' || r.event_id || '","metadata":{', 2), '}', 1)`;

interface RecordQuestion {
  readonly id: string;
  readonly title: string;
  readonly help: string;
  readonly parameters: readonly Parameter[];
  readonly columns: readonly RecordColumn[];
  readonly check?: Question['check'];
  readonly build: Question['build'];
}

/** A question whose rows are records; `build` selects SELECT first. */
export function recordQuestion({ check, ...question }: RecordQuestion): Question {
  return {
    ...question,
    ...(check === undefined ? {} : { check }),
    columns: question.columns.map(({ name, title, kind }) => ({ name, title, kind })),
    key: KEY,
    readRow: (row, asked) => {
      const [, , seq, stream, event_id, event_bytes, prev_hash, this_hash] = row.map(
        (value) => value ?? '',
      );
      const event = readEvent(event_bytes ?? '');
      return {
        values: question.columns.map(({ of }) => of(event, asked, row.slice(SELECTED))),
        record: {
          stream: stream ?? '',
          seq: Number(seq),
          event_id: event_id ?? '',
          event_bytes: event_bytes ?? '',
          prev_hash: prev_hash ?? '',
          this_hash: this_hash ?? '',
        },
      };
    },
  };
}

/** How many columns SELECT has; what else a question selects stands behind them. */
const SELECTED = 8;
