/**
 * From sealed records to the columns of audit.records, and the statements that insert them. The
 * columns are for finding a record; the truth is event_bytes.
 */
import { createHash } from 'node:crypto';
import type { SealedEvent } from '../schemas/record.ts';
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
export const RESOURCE_ID_BYTES_MAX = 1_500;

/** The text columns and what each says of an event: the store fills them so, a verifier expects it. */
export const TEXT_COLUMNS: ReadonlyMap<string, (event: SealedEvent) => string | null> = new Map([
  ['event_id', (event: SealedEvent): string | null => event.event_id],
  ['tenant_id', (event) => event.resource.tenant_id],
  ['actor_type', (event) => event.actor.type],
  ['actor_id', (event) => event.actor.id],
  ['on_behalf_of_id', (event) => event.actor.on_behalf_of?.id ?? null],
  ['action', (event) => event.event.action],
  ['category', (event) => event.event.category],
  ['outcome', (event) => event.event.outcome],
  ['resource_type', (event) => event.resource.type],
  ['resource_id', (event) => indexableResourceId(event.resource.id)],
  ['request_id', (event) => event.correlation.request_id],
  ['trace_id', (event) => event.correlation.trace_id],
]);

/** Inserts keys; fails when one of them is taken, by (stream, seq) or by event. */
export const INSERT_KEYS = `
INSERT INTO audit.record_keys (stream_id, seq, duplicate, event_id, tenant_id, this_hash)
SELECT unnest($1::int4[]), unnest($2::int8[]), unnest($3::bool[]), unnest($4::text[]),
  unnest($5::text[]), unnest($6::bytea[])`;

/**
 * Inserts records; their keys are in. In the select list the arrays are walked in step, row by row;
 * in FROM they would be copied into a tuple store first (10 % slower).
 */
export const INSERT_RECORDS: string = `
INSERT INTO audit.records (stream_id, seq, duplicate, occurred_at, received_at, prev_hash,
  this_hash, event_bytes, ${[...TEXT_COLUMNS.keys()].join(', ')})
SELECT unnest($1::int4[]), unnest($2::int8[]), unnest($3::bool[]), unnest($4::timestamptz[]),
  unnest($5::timestamptz[]), unnest($6::bytea[]), unnest($7::bytea[]), unnest($8::text[]),
  ${[...TEXT_COLUMNS.keys()].map((_, index) => `unnest($${index + 9}::text[])`).join(', ')}`;

/** Parameters of INSERT_KEYS. */
export function keyParameters(rows: readonly Row[]): Buffer[] {
  return [
    encodeIntegers(rows.map((row) => row.streamId)),
    encodeBigints(rows.map((row) => row.record.event.chain.seq)),
    encodeBooleans(rows.map((row) => row.duplicate)),
    encodeTexts(rows.map((row) => row.record.event.event_id)),
    encodeTexts(rows.map((row) => row.record.event.resource.tenant_id)),
    encodeHashes(rows.map((row) => row.record.this_hash)),
  ];
}

/** Parameters of INSERT_RECORDS. */
export function recordParameters(rows: readonly Row[]): Buffer[] {
  return [
    encodeIntegers(rows.map((row) => row.streamId)),
    encodeBigints(rows.map((row) => row.record.event.chain.seq)),
    encodeBooleans(rows.map((row) => row.duplicate)),
    encodeTimes(rows.map((row) => occurredAtMs(row.record.event))),
    encodeTimes(rows.map((row) => Date.parse(row.record.event.chain.received_at))),
    encodeHashes(rows.map((row) => row.record.prev_hash)),
    encodeHashes(rows.map((row) => row.record.this_hash)),
    encodeTexts(rows.map((row) => row.record.eventText)),
    ...[...TEXT_COLUMNS.values()].map((of) => encodeTexts(rows.map((row) => of(row.record.event)))),
  ];
}

function encodeHashes(hashes: readonly string[]): Buffer {
  return encodeHex(hashes, HASH_BYTES);
}

/** The time a record is filed under; what the event says, or its reception where that is no date. */
export function occurredAtMs({ event, chain }: SealedEvent): number {
  const said = Date.parse(event.time);
  return Number.isNaN(said) ? Date.parse(chain.received_at) : said;
}

/** The resource's id, or a prefix with its SHA-256 where it is too long for an index. */
export function indexableResourceId(id: string): string {
  if (id.length * 3 <= RESOURCE_ID_BYTES_MAX) return id;
  if (Buffer.byteLength(id) <= RESOURCE_ID_BYTES_MAX) return id;
  const digest = createHash('sha256').update(id, 'utf8').digest('hex');
  return `${id.slice(0, 200).toWellFormed()}#sha256:${digest}`;
}
