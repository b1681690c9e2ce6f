/**
 * From sealed records to the columns of audit.records, and the statements that insert them. The
 * columns are for finding a record; the truth is event_bytes.
 */
import { createHash } from 'node:crypto';
import {
  encodeBigints,
  encodeBooleans,
  encodeHex,
  encodeIntegers,
  encodeTexts,
  encodeTimes,
} from './binary-array.ts';
import type { StoredRecord } from './store.ts';

/** A record with the number of its stream; what one row is made of. */
export interface Row {
  /** Place in the caller's batch. */
  readonly index: number;
  readonly record: StoredRecord;
  readonly streamId: number;
  readonly duplicate: boolean;
}

const HASH_BYTES = 32;
/**
 * A B-tree entry holds about 2,700 bytes. All indexed fields fit at their schema's limits except
 * the resource's id (1,024 characters, up to 4,096 bytes beside type and tenant).
 */
const RESOURCE_ID_BYTES_MAX = 1_500;

/** Inserts keys; a row that is taken, by (stream, seq) or by event, is left out. */
export const INSERT_KEYS_IF_FREE = `
INSERT INTO audit.record_keys (stream_id, seq, event_id, this_hash, duplicate)
SELECT * FROM unnest($1::int4[], $2::int8[], $3::text[], $4::bytea[], $5::bool[])
ON CONFLICT DO NOTHING`;

/** Inserts keys known to be free; fails when another writer was faster. */
export const INSERT_KEYS = `
INSERT INTO audit.record_keys (stream_id, seq, event_id, this_hash, duplicate)
SELECT * FROM unnest($1::int4[], $2::int8[], $3::text[], $4::bytea[], $5::bool[])`;

/**
 * Inserts records; their keys are in. In the select list the arrays are walked in step, row by row;
 * in FROM they would be copied into a tuple store first (10 % slower).
 */
export const INSERT_RECORDS = `
INSERT INTO audit.records (stream_id, seq, duplicate, occurred_at, received_at, event_id, tenant_id,
  actor_type, actor_id, on_behalf_of_id, action, category, outcome, resource_type, resource_id,
  request_id, trace_id, prev_hash, this_hash, event_bytes)
SELECT unnest($1::int4[]), unnest($2::int8[]), unnest($3::bool[]),
  unnest($4::timestamptz[]), unnest($5::timestamptz[]), unnest($6::text[]),
  unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[]),
  unnest($11::text[]), unnest($12::text[]), unnest($13::text[]), unnest($14::text[]),
  unnest($15::text[]), unnest($16::text[]), unnest($17::text[]), unnest($18::bytea[]),
  unnest($19::bytea[]), unnest($20::text[])`;

/** Parameters of INSERT_KEYS and INSERT_KEYS_IF_FREE. */
export function keyParameters(rows: readonly Row[]): Buffer[] {
  return [
    encodeIntegers(rows.map((row) => row.streamId)),
    encodeBigints(rows.map((row) => row.record.event.chain.seq)),
    encodeTexts(rows.map((row) => row.record.event.event_id)),
    encodeHex(
      rows.map((row) => row.record.this_hash),
      HASH_BYTES,
    ),
    encodeBooleans(rows.map((row) => row.duplicate)),
  ];
}

/** Parameters of INSERT_RECORDS. */
export function recordParameters(rows: readonly Row[]): Buffer[] {
  const texts = (of: (record: StoredRecord) => string | null): Buffer =>
    encodeTexts(rows.map((row) => of(row.record)));
  return [
    encodeIntegers(rows.map((row) => row.streamId)),
    encodeBigints(rows.map((row) => row.record.event.chain.seq)),
    encodeBooleans(rows.map((row) => row.duplicate)),
    encodeTimes(rows.map((row) => occurredAtMs(row.record))),
    encodeTimes(rows.map((row) => Date.parse(row.record.event.chain.received_at))),
    texts(({ event }) => event.event_id),
    texts(({ event }) => event.resource.tenant_id),
    texts(({ event }) => event.actor.type),
    texts(({ event }) => event.actor.id),
    texts(({ event }) => event.actor.on_behalf_of?.id ?? null),
    texts(({ event }) => event.event.action),
    texts(({ event }) => event.event.category),
    texts(({ event }) => event.event.outcome),
    texts(({ event }) => event.resource.type),
    texts(({ event }) => indexableResourceId(event.resource.id)),
    texts(({ event }) => event.correlation.request_id),
    texts(({ event }) => event.correlation.trace_id),
    encodeHex(
      rows.map((row) => row.record.prev_hash),
      HASH_BYTES,
    ),
    encodeHex(
      rows.map((row) => row.record.this_hash),
      HASH_BYTES,
    ),
    texts(({ eventText }) => eventText),
  ];
}

/** The time a record is filed under; what the event says, or its reception where that is no date. */
export function occurredAtMs({ event }: StoredRecord): number {
  const said = Date.parse(event.event.time);
  return Number.isNaN(said) ? Date.parse(event.chain.received_at) : said;
}

/** The resource's id, or a prefix with its SHA-256 where it is too long for an index. */
export function indexableResourceId(id: string): string {
  if (id.length * 3 <= RESOURCE_ID_BYTES_MAX) return id;
  if (Buffer.byteLength(id) <= RESOURCE_ID_BYTES_MAX) return id;
  const digest = createHash('sha256').update(id, 'utf8').digest('hex');
  return `${id.slice(0, 200).toWellFormed()}#sha256:${digest}`;
}
