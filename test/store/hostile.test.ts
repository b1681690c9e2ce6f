/** Names, times, bytes and neighbours that mean harm, against a real server. */
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import type { AppendSummary, Store, StoredRecord } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { connectTo, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer } from './sealed.ts';

let server: TestPostgres;
let store: Store;
let owner: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  await store.migrate();
  owner = new pg.Client(server.url('owner'));
  await owner.connect();
});

afterAll(async () => {
  const verification = await verifyStore({ url: server.url('auditor') });
  await owner.end();
  await store.close();
  await server.stop();
  expect(verification).toMatchObject({ verdict: 'intact', findings: [] });
});

async function append(records: readonly StoredRecord[]): Promise<AppendSummary> {
  const done = await store.appendRecords(records);
  if (!done.ok) throw new Error(`${done.error.kind}: ${done.error.message}`);
  return done.value;
}

/** Where each record of a stream is kept, by seq. */
async function tablesOf(stream: string): Promise<string[]> {
  const found = await owner.query<{ name: string }>(
    `SELECT tableoid::regclass::text AS name FROM audit.records
     WHERE stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1) ORDER BY seq`,
    [stream],
  );
  return found.rows.map((row) => row.name);
}

/** The month `months` from now, first day. */
function monthFromNow(months: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1));
}

function partitionOf(time: Date): string {
  return `audit.records_${time.toISOString().slice(0, 7).replace('-', '_')}`;
}

describe('names', () => {
  test.each([
    `x'); DROP TABLE audit.records; --`,
    `"; SELECT pg_sleep(9); --`,
    '%s %I $1 \\ \\\\ {} NULL',
    `'{"a","b"}'`,
    '\u202Eneves\u202C \u0001\u001f\t\n',
    '👩‍👩‍👧 ﷽ \uffff\ufffe',
    '',
  ])('a tenant, stream, actor and resource named %j are words and nothing else', async (name) => {
    const sealer = createSealer(`agent/${ulid()}/${name}`, name);
    const record = sealer.seal({ actor: name, resourceId: name, requestId: name, action: name });
    expect(await append([record])).toMatchObject({ stored: 1, refused: [] });
    const found = await owner.query(
      'SELECT tenant_id, actor_id, resource_id, action, event_bytes FROM audit.events WHERE stream = $1',
      [sealer.stream],
    );
    const expected = { tenant_id: name, actor_id: name, resource_id: name, action: name };
    expect(found.rows).toEqual([{ ...expected, event_bytes: record.eventText }]);
  });

  test('an event id used by another tenant hides nothing', async () => {
    const [theirs, ours] = [createSealer(undefined, 'mallory'), createSealer(undefined, 'victim')];
    const event_id = ulid();
    await append([theirs.seal({ event_id })]);
    expect(await append([ours.seal({ event_id })])).toMatchObject({ stored: 1, duplicates: 0 });
    const shown = await owner.query('SELECT FROM audit.events WHERE event_id = $1', [event_id]);
    expect(shown.rowCount).toBe(2);
  });
});

describe('times', () => {
  test('a month ends and the next begins at midnight UTC, over a new year too', async () => {
    const sealer = createSealer();
    const year = monthFromNow(0).getUTCFullYear() - 1;
    const borders = [`${year}-01-01`, `${year}-03-01`, `${year + 1}-01-01`].map(Date.parse);
    const times = borders.flatMap((ms) => [new Date(ms - 1), new Date(ms)]);
    await append(times.map((time) => sealer.seal({ time: time.toISOString() })));
    expect(await tablesOf(sealer.stream)).toEqual(times.map(partitionOf));
  });

  test('years 0, 1 and 9999 and the 29th of February are stored as they are said', async () => {
    const sealer = createSealer();
    const times = ['0000-01-01', '0001-01-01', '2024-02-29', '9999-12-31'];
    const records = times.map((day) => sealer.seal({ time: `${day}T23:59:59.999Z` }));
    expect(await append(records)).toMatchObject({ stored: 4, refused: [] });
    const said = await owner.query<{ day: string }>(
      `SELECT to_char(occurred_at AT TIME ZONE 'UTC', 'FMYYYY-MM-DD BC') AS day
       FROM audit.events WHERE stream = $1 ORDER BY seq`,
      [sealer.stream],
    );
    const days = said.rows.map((row) => row.day);
    expect(days).toEqual(['1-01-01 BC', '1-01-01 AD', '2024-02-29 AD', '9999-12-31 AD']);
  });

  test('a clock years ahead gets its month, so that the month is there when its time comes', async () => {
    const sealer = createSealer();
    const ahead = [monthFromNow(9), monthFromNow(118)];
    await append(ahead.map((time) => sealer.seal({ time: time.toISOString() })));
    expect(await tablesOf(sealer.stream)).toEqual(ahead.map(partitionOf));
  });

  test('clocks without bounds make no partitions without bounds', async () => {
    const sealer = createSealer();
    const records = Array.from({ length: 2_000 }, (_, n) =>
      sealer.seal({ time: new Date(Date.UTC(2100 + n, n % 12, 1)).toISOString() }),
    );
    expect(await append(records)).toMatchObject({ stored: 2_000 });
    expect(new Set(await tablesOf(sealer.stream))).toEqual(new Set(['audit.records_default']));
  });

  test('a long query on the table does not stop delivery into a month that has no partition', async () => {
    await using reader = await connectTo(server.url('auditor'));
    await reader.client.query('BEGIN');
    await reader.client.query('SELECT count(*) FROM audit.records');
    const sealer = createSealer();
    const time = monthFromNow(-50).toISOString();
    expect(await append([sealer.seal({ time })])).toMatchObject({ stored: 1 });
    // The batches after it do not try again for a minute: each would wait for 2 s, a slow machine makes only one of them wait.
    const tookMs: number[] = [];
    while (tookMs.length < 3) {
      const startedMs = performance.now();
      expect(await append([sealer.seal({ time })])).toMatchObject({ stored: 1 });
      tookMs.push(performance.now() - startedMs);
    }
    expect(Math.min(...tookMs)).toBeLessThan(1_900);
    await reader.client.query('ROLLBACK');
    expect(await tablesOf(sealer.stream)).toEqual(Array(4).fill('audit.records_default'));
    // Whoever asks later is told that nothing is left to do: the month stays where its records are.
    const asked = await owner.query('SELECT audit.ensure_partition($1) AS done', [time]);
    expect(asked.rows).toEqual([{ done: true }]);
  });
});

describe('bytes', () => {
  test('64 KiB of anything come back byte for byte', async () => {
    const sealer = createSealer();
    const records = ['a', '"', '\\', 'é', '€', '😀', '\u2028'].map((unit) =>
      sealer.seal({ metadata: { text: unit.repeat(60_000 / JSON.stringify(unit).length) } }),
    );
    expect(await append(records)).toMatchObject({ stored: 7, refused: [] });
    const found = await owner.query<{ event_bytes: string }>(
      'SELECT event_bytes FROM audit.sealed_records WHERE stream = $1 ORDER BY seq',
      [sealer.stream],
    );
    expect(found.rows.map((row) => row.event_bytes)).toEqual(records.map((r) => r.eventText));
  });

  /** Three records, the second of which has this value in its bytes, whatever was sealed. */
  function around(value: string): { stream: string; records: StoredRecord[] } {
    const sealer = createSealer();
    const records = [sealer.seal(), sealer.seal(), sealer.seal()];
    const eventText = records[1]!.eventText.replace('"metadata":{}', `"metadata":{"a":${value}}`);
    records[1] = { ...records[1]!, eventText };
    return { stream: sealer.stream, records };
  }

  test.each([
    ['U+0000, escaped', '"\\u0000"', false],
    ['U+0000 behind a backslash', '"\\\\\\u0000"', false],
    ['half a surrogate pair, escaped', '"\\ud83d"', false],
    ['the other half', '"\\uDE00 "', false],
    ['no JSON', '{', false],
    ['a backslash before u0000', '"\\\\u0000"', true],
    ['a control character', '"\\u001f"', true],
  ])('%s is stored byte for byte; what jsonb cannot hold has no payload', async (_, value, has) => {
    const { stream, records } = around(value);
    expect(await append(records)).toMatchObject({ stored: 3, refused: [] });
    const found = await owner.query<{ event_bytes: string; payload: unknown }>(
      'SELECT event_bytes, payload FROM audit.events WHERE stream = $1 ORDER BY seq',
      [stream],
    );
    expect(found.rows.map((row) => row.event_bytes)).toEqual(records.map((r) => r.eventText));
    expect(found.rows.map((row) => row.payload !== null)).toEqual([true, has, true]);
    await forget(stream);
  });

  test.each([
    ['U+0000, raw', '"\u0000"'],
    ['half a surrogate pair, raw', '"\ud83d"'],
  ])('%s, which no text can hold, is refused by name, alone', async (_, value) => {
    const { stream, records } = around(value);
    const done = await append(records);
    expect(done).toMatchObject({ stored: 2, refused: [{ index: 1, kind: 'poison' }] });
    // Its place in the stream is not taken: made good, it goes in.
    const eventText = records[1]!.eventText.replace(value, '"good"');
    expect((await append([{ ...records[1]!, eventText }])).stored).toBe(1);
    await forget(stream);
  });

  test('a batch beyond any message and any transaction is cut, and stored whole', async () => {
    const sealer = createSealer();
    const many = Array.from({ length: 12_000 }, () => sealer.seal());
    const big = Array.from({ length: 300 }, () =>
      sealer.seal({ metadata: { t: 'x'.repeat(60_000) } }),
    );
    expect(await append([...many, ...big])).toMatchObject({ stored: 12_300, refused: [] });
  });
});

/** Removes a stream whose chain the test itself broke, as a superuser with triggers off. */
async function forget(stream: string): Promise<void> {
  await using admin = await connectTo(server.url('admin'));
  await admin.client.query('ALTER TABLE audit.records DISABLE TRIGGER ALL');
  await admin.client.query(
    'DELETE FROM audit.records WHERE stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)',
    [stream],
  );
  await admin.client.query('ALTER TABLE audit.records ENABLE ALWAYS TRIGGER append_only_row');
}

describe('neighbours', () => {
  test('a row put in a place of the stream by hand is named, and holds nobody up', async () => {
    await using admin = await connectTo(server.url('admin'));
    const sealer = createSealer();
    const records = [sealer.seal(), sealer.seal(), sealer.seal()];
    await append([records[0]!]);
    await admin.client.query(
      `INSERT INTO audit.records (stream_id, seq, duplicate, occurred_at, received_at, event_id,
         tenant_id, actor_type, actor_id, action, category, outcome, resource_type, resource_id,
         prev_hash, this_hash, event_bytes)
       SELECT stream_id, 1, false, $2, received_at, event_id, tenant_id, actor_type, actor_id,
         action, category, outcome, resource_type, resource_id, prev_hash, this_hash, event_bytes
       FROM audit.records WHERE stream_id =
         (SELECT stream_id FROM audit.streams WHERE stream = $1)`,
      [sealer.stream, records[1]!.event.event.time],
    );
    const done = await append(records);
    expect(done).toMatchObject({ stored: 1, repeated: 1, refused: [{ index: 1 }] });
    expect(done.refused[0]?.reason).toContain('not written by sealtrail');
    expect(await verifyStore({ url: server.url('auditor'), stream: sealer.stream })).toMatchObject({
      verdict: 'broken',
    });
    await forget(sealer.stream);
  });

  test('writers that send the same records in other orders agree, without an error', async () => {
    const sealers = Array.from({ length: 4 }, () => createSealer());
    const records = sealers.flatMap((sealer) => Array.from({ length: 500 }, () => sealer.seal()));
    const writers = Array.from({ length: 4 }, () =>
      createPostgresStore({ url: server.url('writer') }),
    );
    const outcomes = await Promise.all(
      writers.map((writer, n) =>
        writer.appendRecords([...records.slice(n * 500), ...records.slice(0, n * 500)]),
      ),
    );
    const stored = outcomes.map((one) => (one.ok ? one.value.stored : Number.NaN));
    expect(stored.reduce((sum, one) => sum + one, 0)).toBe(records.length);
    await Promise.all(writers.map((writer) => writer.close()));
  });
});
