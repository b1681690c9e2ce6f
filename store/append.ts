/**
 * Appends rows to the store in one transaction. The fast path trusts that all are new; when a key
 * turns out to be taken, the slow path looks each one up: repeated, fork, or an event that another
 * record already carries.
 */
import type { ClientBase } from 'pg';
import { encodeBigints, encodeIntegers, encodeTexts } from './binary-array.ts';
import { classifyDatabaseError } from './database-error.ts';
import { INSERT_KEYS, INSERT_RECORDS, keyParameters, recordParameters, type Row } from './rows.ts';
import type { RefusedRecord } from './store.ts';

/** Fails where one of the places was purged; until the end of the transaction none of them can be. */
const REFUSE_PURGED = 'SELECT audit.refuse_purged($1::int4[], $2::int8[])';

export interface RowsOutcome {
  readonly stored: number;
  readonly repeated: number;
  readonly duplicates: number;
  readonly refused: readonly RefusedRecord[];
}

/** Stores rows; throws what the database throws, after a rollback. Committed when it resolves. */
export async function appendRows(client: ClientBase, rows: readonly Row[]): Promise<RowsOutcome> {
  try {
    await insertRows(client, rows);
    return { stored: rows.length, repeated: 0, duplicates: 0, refused: [] };
  } catch (error) {
    const { kind } = classifyDatabaseError(error);
    if (kind !== 'raced' && kind !== 'purged') throw error;
    return appendSorted(client, rows);
  }
}

async function appendSorted(client: ClientBase, rows: readonly Row[]): Promise<RowsOutcome> {
  const sorted = sortOut(rows, {
    keys: await findKeys(client, rows),
    events: await findEvents(client, rows),
    purged: await findPurged(client, rows),
  });
  if (sorted.fresh.length > 0) await insertRows(client, sorted.fresh);
  return {
    stored: sorted.fresh.length,
    repeated: sorted.repeated,
    duplicates: sorted.fresh.filter((row) => row.duplicate).length,
    refused: sorted.refused,
  };
}

/**
 * All or none. A taken key is an error, and not looked for beforehand: ON CONFLICT DO NOTHING costs
 * each row a second search of both indexes, which is 5 % of everything, for what hardly ever happens.
 * The statements are pipelined, so that the server never waits for this thread: while it is at the
 * keys, the records are encoded. After an error it skips the rest, and COMMIT rolls back.
 */
async function insertRows(client: ClientBase, rows: readonly Row[]): Promise<void> {
  const keys = keyParameters(rows);
  const sent: Promise<unknown>[] = [
    client.query('BEGIN'),
    client.query(REFUSE_PURGED, lowestPlaces(rows)),
    client.query(INSERT_KEYS, keys),
  ];
  try {
    sent.push(client.query(INSERT_RECORDS, recordParameters(rows)), client.query('COMMIT'));
  } catch (error) {
    await Promise.allSettled([...sent, client.query('ROLLBACK')]);
    throw error;
  }
  for (const outcome of await Promise.allSettled(sent))
    if (outcome.status === 'rejected') throw outcome.reason;
}

interface Sorted {
  readonly fresh: readonly Row[];
  readonly repeated: number;
  readonly refused: readonly RefusedRecord[];
}

interface Taken {
  /** Place -> `this_hash`, of stubs too. */
  readonly keys: ReadonlyMap<string, string>;
  readonly events: ReadonlySet<string>;
  /** Number of a stream -> how many of its records were purged, or are being purged. */
  readonly purged: ReadonlyMap<number, number>;
}

function sortOut(rows: readonly Row[], had: Taken): Sorted {
  const keys = new Map(had.keys);
  const events = new Set(had.events);
  const fresh: Row[] = [];
  const refused: RefusedRecord[] = [];
  let repeated = 0;
  for (const row of rows) {
    const { event, this_hash } = row.record;
    const key = keyOf(row.streamId, event.chain.seq);
    const taken = keys.get(key);
    const before = keys.get(keyOf(row.streamId, event.chain.seq - 1)) ?? row.record.prev_hash;
    if (taken === undefined && event.chain.seq < (had.purged.get(row.streamId) ?? 0)) {
      // It was stored once, and its time is over: sent again, it stays purged.
      repeated += 1;
    } else if (taken === undefined && before !== row.record.prev_hash) {
      refused.push({
        index: row.index,
        kind: 'fork',
        reason: `fork: stream ${event.chain.stream} seq ${event.chain.seq} follows another record than the store has before it`,
      });
    } else if (taken === undefined) {
      const carried = eventKeyOf(event.event_id, event.resource.tenant_id);
      fresh.push({ ...row, duplicate: events.has(carried) });
      keys.set(key, this_hash);
      events.add(carried);
    } else if (taken === this_hash) {
      repeated += 1;
    } else {
      refused.push({
        index: row.index,
        kind: 'fork',
        reason: `fork: stream ${event.chain.stream} seq ${event.chain.seq} is stored with this_hash ${taken}, this record has ${this_hash}`,
      });
    }
  }
  return { fresh, repeated, refused };
}

async function findKeys(
  client: ClientBase,
  rows: readonly Row[],
): Promise<ReadonlyMap<string, string>> {
  const found = await client.query<{ stream_id: number; seq: string; hash: string }>(
    `SELECT k.stream_id, k.seq, encode(k.this_hash, 'hex') AS hash
     FROM unnest($1::int4[], $2::int8[]) AS wanted (stream_id, seq)
     JOIN (SELECT stream_id, seq, this_hash FROM audit.record_keys
       UNION ALL SELECT stream_id, seq, this_hash FROM audit.stubs) k USING (stream_id, seq)`,
    [
      encodeIntegers(rows.map((row) => row.streamId)),
      encodeBigints(rows.map((row) => row.record.event.chain.seq)),
    ],
  );
  return new Map(found.rows.map((row) => [keyOf(row.stream_id, Number(row.seq)), row.hash]));
}

async function findPurged(
  client: ClientBase,
  rows: readonly Row[],
): Promise<ReadonlyMap<number, number>> {
  const found = await client.query<{ stream_id: number; size: string }>(
    `SELECT stream_id, max(size) AS size FROM audit.purges
     WHERE stream_id = ANY ($1::int4[]) GROUP BY stream_id`,
    [encodeIntegers([...new Set(rows.map((row) => row.streamId))])],
  );
  return new Map(found.rows.map((row) => [row.stream_id, Number(row.size)]));
}

/** The first place in each stream, as parameters of REFUSE_PURGED. */
function lowestPlaces(rows: readonly Row[]): Buffer[] {
  const lowest = new Map<number, number>();
  for (const { streamId, record } of rows) {
    const { seq } = record.event.chain;
    if (seq < (lowest.get(streamId) ?? Infinity)) lowest.set(streamId, seq);
  }
  return [encodeIntegers([...lowest.keys()]), encodeBigints([...lowest.values()])];
}

async function findEvents(client: ClientBase, rows: readonly Row[]): Promise<ReadonlySet<string>> {
  const found = await client.query<{ event_id: string; tenant_id: string }>(
    `SELECT k.event_id, k.tenant_id FROM unnest($1::text[]) AS wanted (event_id)
     JOIN audit.record_keys k USING (event_id) WHERE NOT k.duplicate`,
    [encodeTexts(rows.map((row) => row.record.event.event_id))],
  );
  return new Set(found.rows.map((row) => eventKeyOf(row.event_id, row.tenant_id)));
}

/** An event counts once a tenant. */
function eventKeyOf(eventId: string, tenant: string): string {
  return `${eventId} ${tenant}`;
}

function keyOf(streamId: number, seq: number): string {
  return `${streamId}:${seq}`;
}
