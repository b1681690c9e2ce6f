/** The store of record against a real server: idempotent, fork-proof, each event shown once. */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresqlSink } from '../../agent/deliver/sinks/postgresql.ts';
import type { DeliveryRecord, Fork } from '../../agent/ports.ts';
import { chainHash } from '../../schemas/brand.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { AppendSummary, Store, StoredRecord } from '../../store/store.ts';
import { eventually } from '../support/eventually.ts';
import { connectTo, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer } from './sealed.ts';

let server: TestPostgres;
let store: Store;
let owner: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  owner = new pg.Client(server.url('owner'));
  await owner.connect();
});

afterAll(async () => {
  await owner.end();
  await store.close();
  await server.stop();
});

async function append(records: readonly StoredRecord[]): Promise<AppendSummary> {
  const done = await store.appendRecords(records);
  if (!done.ok) throw new Error(`${done.error.kind}: ${done.error.message}`);
  return done.value;
}

async function stored(stream: string): Promise<Record<string, unknown>[]> {
  const sql = 'SELECT * FROM audit.sealed_records WHERE stream = $1 ORDER BY seq';
  return (await owner.query<Record<string, unknown>>(sql, [stream])).rows;
}

function many(count: number, sealer = createSealer()): StoredRecord[] {
  return Array.from({ length: count }, (_, n) => sealer.seal({ actor: `u-${n % 7}` }));
}

describe('appendRecords', () => {
  test('the bytes that were hashed come back verbatim and hash to this_hash', async () => {
    const sealer = createSealer();
    const records = [
      sealer.seal(),
      sealer.seal({ metadata: { text: 'Zürich "quoted" \\ back\u2028line 😀', n: 1e21, a: [] } }),
    ];
    expect(await append(records)).toEqual({ stored: 2, repeated: 0, duplicates: 0, refused: [] });
    const rows = await stored(sealer.stream);
    expect(rows.map((row) => row['event_bytes'])).toEqual(records.map((r) => r.eventText));
    for (const row of rows) {
      const text = `${String(row['prev_hash'])}${String(row['event_bytes'])}`;
      expect(createHash('sha256').update(text).digest('hex')).toBe(row['this_hash']);
    }
    const ok = await owner.query(
      'SELECT bool_and(audit.hash_ok(prev_hash, event_bytes, this_hash)) AS ok FROM audit.records',
    );
    expect(ok.rows[0]).toEqual({ ok: true });
    const payload = await owner.query<{ payload: unknown }>(
      'SELECT payload FROM audit.events WHERE event_id = $1',
      [records[1]?.event.event_id],
    );
    expect(payload.rows[0]?.payload).toEqual(records[1]?.event);
  });

  test('columns hold what the event says, to the millisecond', async () => {
    const sealer = createSealer();
    const time = '2026-03-01T00:00:00.007Z';
    await append([
      sealer.seal({ time, onBehalfOf: 'v-9', requestId: 'r-1', traceId: 'a'.repeat(32) }),
    ]);
    const sql = `SELECT occurred_at, actor_id, on_behalf_of_id, action, outcome, resource_type,
      resource_id, tenant_id, request_id, trace_id FROM audit.events WHERE stream = $1`;
    expect((await owner.query(sql, [sealer.stream])).rows).toEqual([
      {
        occurred_at: new Date(time),
        actor_id: 'u-1',
        on_behalf_of_id: 'v-9',
        action: 'customer.export',
        outcome: 'success',
        resource_type: 'customer',
        resource_id: 'c-1',
        tenant_id: 'acme',
        request_id: 'r-1',
        trace_id: 'a'.repeat(32),
      },
    ]);
  });

  test('a batch sent again, whole or in part, changes nothing', async () => {
    const sealer = createSealer();
    const records = many(2_500, sealer);
    expect((await append(records.slice(0, 1_200))).stored).toBe(1_200);
    expect(await append(records)).toMatchObject({ stored: 1_300, repeated: 1_200, refused: [] });
    expect(await append(records)).toMatchObject({ stored: 0, repeated: 2_500, refused: [] });
    expect(await stored(sealer.stream)).toHaveLength(2_500);
  });

  test('the same place with another hash is refused as a fork; the stored record stays', async () => {
    const sealer = createSealer();
    const [first, second] = many(2, sealer);
    await append([first!]);
    const forged = { ...first!, this_hash: chainHash('f'.repeat(64)) };
    const done = await append([forged, second!]);
    expect(done.stored).toBe(1);
    expect(done.refused).toMatchObject([{ index: 0, kind: 'fork' }]);
    expect((await stored(sealer.stream))[0]?.['this_hash']).toBe(first!.this_hash);
  });

  test.each([
    ['in the middle of a batch', 0, 40, 60],
    ['in the middle of a batch of several transactions', 0, 40, 3_100],
    ['at the start of a batch', 40, 40, 60],
    ['before the batch', 45, 40, 60],
  ])(
    'of two branches of a stream the store keeps the one that came first, and nothing of the other: %s',
    async (_, from, shared, count) => {
      const sealer = createSealer();
      const trunk = many(shared, sealer);
      const other = createSealer(sealer.stream, 'acme', trunk.at(-1));
      const branch = [...trunk, ...many(count - shared, other)];
      const ahead = [...trunk, ...many(10, sealer)];
      expect((await append(ahead)).refused).toEqual([]);
      const elsewhere = createSealer();
      const done = await append([...branch.slice(from), elsewhere.seal()]);
      expect(done.stored, 'another stream goes on').toBe(1);
      expect(done.repeated).toBe(Math.max(0, shared - from));
      const refused = branch.slice(Math.max(shared, from)).map(({ event }) => event.chain.seq);
      expect(done.refused.map(({ kind }) => kind)).toEqual(refused.map(() => 'fork'));
      expect(done.refused.map(({ index }) => index + from)).toEqual(refused);
      const rows = await stored(sealer.stream);
      expect(rows.map((row) => row['this_hash'])).toEqual(ahead.map((one) => one.this_hash));
      const later = many(3, sealer);
      expect((await append(later)).stored, 'the first branch goes on').toBe(3);
    },
  );

  test('an event in two records keeps both records and is shown once', async () => {
    const [left, right] = [createSealer(), createSealer()];
    const record = left.seal();
    const again = right.seal({ event_id: record.event.event_id });
    await append([record]);
    expect(await append([again])).toMatchObject({ stored: 1, duplicates: 1, refused: [] });
    expect(await append([again])).toMatchObject({ stored: 0, repeated: 1 });
    expect(await stored(right.stream)).toHaveLength(1);
    const sql = 'SELECT stream FROM audit.events WHERE event_id = $1';
    const shown = await owner.query(sql, [record.event.event_id]);
    expect(shown.rows).toEqual([{ stream: left.stream }]);
  });

  test('an event twice in one batch is shown once, too', async () => {
    const sealer = createSealer();
    const record = sealer.seal();
    const again = sealer.seal({ event_id: record.event.event_id });
    expect(await append([record, again, record])).toMatchObject({
      stored: 2,
      duplicates: 1,
      repeated: 1,
    });
  });

  test('a record the database refuses is named; all others of the batch are stored', async () => {
    const sealer = createSealer();
    const records = many(300, sealer);
    for (const [index, character] of [
      [77, '\ud83d'],
      [200, '\u0000'],
    ] as const) {
      const text = records[index]!.eventText.replace('"metadata":{}', `"metadata":"${character}"`);
      records[index] = { ...records[index]!, eventText: text };
    }
    const done = await append(records);
    expect(done.stored).toBe(298);
    expect(done.refused.map(({ index, kind }) => [index, kind])).toEqual([
      [77, 'poison'],
      [200, 'poison'],
    ]);
    expect(done.refused.map((one) => one.reason).join()).not.toContain('customer');
  });

  test('fields at the limits of the schema fit the indexes', async () => {
    const sealer = createSealer();
    const wide = (length: number): string =>
      Array.from({ length }, (_, n) => String.fromCodePoint(0x1f300 + ((n * 37) % 512))).join('');
    const record = sealer.seal({
      tenant: 't'.repeat(128),
      actor: wide(512),
      resourceType: wide(128),
      resourceId: wide(1024),
      requestId: wide(256),
      action: `a.${'b'.repeat(126)}`,
    });
    expect(await append([record])).toMatchObject({ stored: 1, refused: [] });
  });

  test('a clock far off costs no partition: such records land in the default one', async () => {
    const sealer = createSealer();
    const times = ['0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z'];
    expect((await append(times.map((time) => sealer.seal({ time })))).stored).toBe(2);
    const rows = await owner.query<{ t: string }>(
      'SELECT DISTINCT tableoid::regclass::text AS t FROM audit.records WHERE seq < 2 AND stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)',
      [sealer.stream],
    );
    expect(rows.rows).toEqual([{ t: 'audit.records_default' }]);
  });

  test('two writers with the same records at the same time store each once', async () => {
    const sealer = createSealer();
    const records = many(1_500, sealer);
    const other = createPostgresStore({ url: server.url('writer') });
    const outcomes = await Promise.all([
      store.appendRecords(records),
      other.appendRecords([...records].reverse()),
    ]);
    await other.close();
    const sums = outcomes.map((one) => (one.ok ? one.value : one.error));
    expect(sums).toMatchObject([{ refused: [] }, { refused: [] }]);
    expect(await stored(sealer.stream)).toHaveLength(1_500);
  });
});

describe('the sink', () => {
  const deliveries = (records: readonly StoredRecord[]): DeliveryRecord[] =>
    records.map((record, number) => ({ ...record, number }));

  test('reports a fork as poison, loudly, and confirms the rest', async () => {
    const lines: object[] = [];
    const told: Fork[] = [];
    const sink = createPostgresqlSink('postgresql', store, {
      log: { info: () => undefined, error: (fields) => lines.push(fields) },
      onFork: (fork) => told.push(fork),
    });
    const [one, two] = many(2);
    const signal = new AbortController().signal;
    expect(await sink.deliver(deliveries([one!, two!]), signal)).toEqual({
      kind: 'delivered',
      retry: [],
      poison: [],
    });
    const forged = { ...one!, this_hash: chainHash('e'.repeat(64)) };
    const result = await sink.deliver(deliveries([forged, two!]), signal);
    expect(result).toMatchObject({ kind: 'delivered', poison: [{ index: 0 }] });
    expect(lines).toHaveLength(1);
    expect(told).toMatchObject([{ stream: one!.event.chain.stream }]);
  });

  test('a server that is away fails the batch as a whole', async () => {
    const away = createPostgresqlSink(
      'postgresql',
      createPostgresStore({ url: 'postgresql://x:y@127.0.0.1:1/sealtrail' }),
    );
    const result = await away.deliver(deliveries(many(1)), new AbortController().signal);
    expect(result).toMatchObject({ kind: 'failed' });
    await away.close();
  });

  test('an abort ends a delivery that waits on the server', async () => {
    await using admin = await connectTo(server.url('admin'));
    const blocker = admin.client;
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE audit.record_keys IN ACCESS EXCLUSIVE MODE');
    const abort = new AbortController();
    const sealer = createSealer();
    const sink = createPostgresqlSink('p', createPostgresStore({ url: server.url('writer') }));
    const pending = sink.deliver(deliveries(many(3, sealer)), abort.signal);
    await eventually(async () => {
      const sql = `SELECT FROM pg_locks WHERE NOT granted AND relation = 'audit.record_keys'::regclass`;
      expect((await blocker.query(sql)).rowCount).toBe(1);
    });
    abort.abort();
    expect(await pending).toMatchObject({ kind: 'failed' });
    await blocker.query('ROLLBACK');
    const again = await sink.deliver(deliveries(many(1)), new AbortController().signal);
    expect(again).toMatchObject({ kind: 'delivered' });
    await sink.close();
  });
});
