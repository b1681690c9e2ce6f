/** What the purge function refuses, and whom; and what is decided while a purge runs. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  planRetention,
  previewPurge,
  stepPurge,
  type StreamRetention,
} from '../../store/retention.ts';
import { setClasses } from '../../store/retention-policy.ts';
import {
  events,
  openPurgeStore,
  range,
  STANDARD,
  tenantOf,
  type PurgeStore,
} from '../support/purge-store.ts';
import { createPurgeableStream, LONG_AGO, preview, runPurge } from '../support/purging.ts';

let bench: PurgeStore;
let store: PurgeStore['store'];
let clients: PurgeStore['clients'];
let { makeStream, hold, lift, purge, seqsOf, verify }: PurgeStore = {} as never;

beforeAll(async () => {
  bench = await openPurgeStore();
  ({ store, clients, makeStream, hold, lift, purge, seqsOf, verify } = bench);
});
afterAll(() => bench[Symbol.asyncDispose]());

const refusal = (message: string) => ({
  ok: false,
  error: { kind: 'refused', message: expect.stringContaining(message) as string },
});

async function codeOf(client: pg.Client, sql: string): Promise<string> {
  const done = await client.query(sql).catch((error: { code?: string }) => error.code);
  return typeof done === 'string' ? done : 'ok';
}

describe('the purge function refuses', () => {
  test('what is not yet expired, no multiple of 256, not there, or of a class without a policy', async () => {
    const mine = await makeStream([
      ...events(300),
      { receivedAt: new Date().toISOString() },
      ...events(300),
    ]);
    const at = (size: number) => previewPurge(clients.retention, mine.stream, size);
    expect(await at(256)).toMatchObject({ ok: true });
    expect(await at(512)).toMatchObject(refusal('must be kept until'));
    expect(await at(257)).toMatchObject(refusal('multiple of 256'));
    expect(await at(0)).toMatchObject(refusal('multiple of 256'));
    expect(await at(768)).toMatchObject(refusal('not in the store'));
    const other = createPurgeableStream(store, 'other', 'e'.repeat(16), 'unknown');
    await other.store(events(300));
    expect(await previewPurge(clients.retention, other.stream, 256)).toMatchObject(
      refusal('never expires'),
    );
  });

  test('a record that says something else than the store, or goes beyond its checkpoint', async () => {
    const mine = await makeStream();
    await hold(mine, { actor: 'u-300' });
    const good = await preview(clients.retention, mine.stream, 512);
    const tryWith = async (change: Record<string, unknown>, checkpointSize?: number) => {
      const record = await mine.recordPurge(
        good,
        (said) => ({ ...said, ...change }),
        checkpointSize,
      );
      return stepPurge(clients.retention, record, 256);
    };
    expect(await tryWith({ kept: 0 })).toMatchObject(refusal('differ in: kept'));
    expect(await tryWith({ base: 512 })).toMatchObject(refusal('differ in: base'));
    expect(await tryWith({ policy: { ...good.policy, days: 1 } })).toMatchObject(
      refusal('differ in: policy'),
    );
    expect(await tryWith({ head_hash: 'f'.repeat(64) })).toMatchObject(
      refusal('differ in: head_hash'),
    );
    expect(await tryWith({ stream: 'sealtrail/x' })).toMatchObject(refusal('no record of a purge'));
    expect(await tryWith({}, 511)).toMatchObject(refusal('more than its checkpoint'));
    for (const checkpoint of [undefined, null, '', 7, `${mine.stream}\n`])
      expect(await tryWith({ checkpoint })).toMatchObject(refusal('more than its checkpoint'));
    expect(await stepPurge(clients.retention, { stream: mine.stream, seq: 5 }, 256)).toMatchObject(
      refusal('no record of a purge'),
    );
    expect(
      await stepPurge(clients.retention, { stream: mine.stream, seq: 9999 }, 256),
    ).toMatchObject({
      error: { kind: 'not_yet' },
    });
    expect(await seqsOf(mine, 'stubs')).toEqual([]);
    expect(await tryWith({})).toMatchObject({ ok: true });
  });

  test('everybody else, and every other way to delete', async () => {
    const mine = await makeStream();
    const sql = `SELECT audit.purge('${mine.stream}', 0, 256)`;
    const [refused, writer] = ['42501', new pg.Client(bench.server.url('writer'))];
    await writer.connect();
    for (const client of [writer, clients.auditor, clients.legal, clients.owner])
      expect(await codeOf(client, sql)).toBe(refused);
    await writer.end();
    for (const table of [
      'records',
      'record_keys',
      'stubs',
      'purges',
      'legal_holds',
      'legal_hold_lifts',
      'retention_classes',
      'streams',
    ])
      for (const change of [`DELETE FROM audit.${table}`, `TRUNCATE audit.${table}`])
        for (const client of [clients.retention, clients.legal, clients.owner, clients.admin])
          expect(await codeOf(client, change), `${change}`).toBe(refused);
    for (const read of [
      'SELECT FROM audit.records',
      'SELECT FROM audit.legal_holds',
      'SET ROLE sealtrail_purger',
    ])
      expect(await codeOf(clients.retention, read), read).toBe(refused);
    const insert = `INSERT INTO audit.stubs SELECT 1, 1, 'x', '', '', 1, 1`;
    for (const client of [clients.retention, clients.legal, clients.owner])
      expect(await codeOf(client, insert)).toBe(refused);
    await clients.retention.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    expect(await stepPurge(clients.retention, { stream: mine.stream, seq: 0 }, 256)).toMatchObject(
      refusal('READ COMMITTED'),
    );
    await clients.retention.query('ROLLBACK');
    // Temporary objects of the caller do not stand in for the store's.
    await clients.admin.query('GRANT TEMP ON DATABASE sealtrail TO sealtrail_retention');
    await clients.retention.query('CREATE TEMP TABLE legal_holds (hold_id text)');
    await clients.retention.query(`SET search_path = pg_temp, audit`);
    expect(await stepPurge(clients.retention, { stream: mine.stream, seq: 0 }, 256)).toMatchObject(
      refusal('no record of a purge'),
    );
    await clients.retention.query('RESET search_path');
  });

  test('each record knows until when it is kept', async () => {
    const mine = await makeStream(events(1));
    const found = await clients.auditor.query<{ retention_until: Date; regime: string }>(
      'SELECT retention_until, regime FROM audit.retention WHERE stream = $1',
      [mine.stream],
    );
    const until = new Date(Date.parse(LONG_AGO) + 366 * 86_400_000);
    expect(found.rows).toEqual([{ retention_until: until, regime: 'PCI DSS' }]);
  });
});

describe('a purge covers up nothing', () => {
  test('neither a held record that a superuser took out of the prefix, nor one before all that is held', async () => {
    for (const gone of [300, 17]) {
      const mine = await makeStream();
      await hold(mine, { actor: 'u-300' });
      const record = await mine.recordPurge(await preview(clients.retention, mine.stream, 512));
      for (const table of ['records', 'record_keys'])
        await bench.tamper(
          table,
          `DELETE FROM audit.${table} t USING audit.streams s
           WHERE s.stream_id = t.stream_id AND s.stream = $1 AND t.seq = $2`,
          [mine.stream, gone],
        );
      const missing = refusal('not in the store, and no purge took them');
      expect(await previewPurge(clients.retention, mine.stream, 512)).toMatchObject(missing);
      expect(await stepPurge(clients.retention, record, 4096)).toMatchObject(missing);
      expect((await verify(mine)).verdict).toBe('broken');
    }
  });

  test('a store that was restored goes on behind what was purged, known by its record alone', async () => {
    const mine = await makeStream(events(1_100));
    await purge(mine, 512);
    await bench.tamper(
      'purges',
      `DELETE FROM audit.purges p USING audit.streams s
       WHERE s.stream_id = p.stream_id AND s.stream = $1`,
      [mine.stream],
    );
    expect(await purge(mine, 1_024)).toMatchObject({ base: 1_024, purged: 512 });
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
  });

  test('a stream that ends in what was purged is neither waited for nor forgotten', async () => {
    const mine = await makeStream(events(512));
    const held = await hold(mine, { actor: 'u-300' });
    const carriedBy = async (): Promise<void> => {
      const said = await preview(clients.retention, mine.stream, 512);
      const change = (): Record<string, unknown> => ({
        ...said,
        ...{ range: [], base_range: [], checkpoint: `${mine.stream}\n512\nroot\n` },
      });
      const record = createPurgeableStream(store, tenantOf(mine), String(carried++).repeat(16));
      await runPurge(clients.retention, await record.recordPurge(said, change, 0));
    };
    let carried = 7;
    await carriedBy();
    const planned = async (): Promise<StreamRetention | undefined> => {
      const plan = await planRetention(clients.retention);
      return plan.ok ? plan.value.find(({ stream }) => stream === mine.stream) : undefined;
    };
    expect(await planned()).toMatchObject({ next: 512, expired: 512, purged: 512, first: 256 });
    await lift(held);
    await carriedBy();
    expect(await planned()).toMatchObject({ first: null, next: 0, purged: 512, stubs: 0 });
  });
});

describe('what is decided while a purge runs', () => {
  /** Ends when somebody waits for a lock. */
  async function whenBlocked(): Promise<void> {
    await expect
      .poll(async () => {
        const waiting = `SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'`;
        return (await clients.admin.query(waiting)).rowCount;
      })
      .toBe(1);
  }

  test('a class that is kept longer stops it, and is in force only between two of its steps', async () => {
    const mine = await makeStream(events(1_100));
    const record = await mine.recordPurge(await preview(clients.retention, mine.stream, 1_024));
    await clients.retention.query('BEGIN');
    expect(await stepPurge(clients.retention, record, 256)).toMatchObject({ ok: true });
    const longer = setClasses(clients.owner, [{ ...STANDARD, days: 2_557 }], 'test');
    await whenBlocked();
    await clients.retention.query('COMMIT');
    await longer;
    expect(await stepPurge(clients.retention, record, 4096)).toMatchObject(refusal('how long'));
    expect(await seqsOf(mine, 'records')).toEqual(range(256, 1_101));
    // More is left than the record says.
    expect(await verify(mine)).toMatchObject({ verdict: 'cannot_tell', findings: [] });
    await setClasses(clients.owner, [STANDARD], 'test');
    expect(await runPurge(clients.retention, record)).toMatchObject({ purged: 1_024 });
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
  });

  test('a hold waits for the step that runs, and no later step takes what it covers', async () => {
    const mine = await makeStream(events(1_100));
    const record = await mine.recordPurge(await preview(clients.retention, mine.stream, 1_024));
    await clients.retention.query('BEGIN');
    await stepPurge(clients.retention, record, 256);
    const placed = hold(mine, { actor: 'u-600' });
    await whenBlocked();
    await clients.retention.query('COMMIT');
    await placed;
    expect(await stepPurge(clients.retention, record, 4096)).toMatchObject(
      refusal('holds were placed'),
    );
    expect(await seqsOf(mine, 'records')).toContain(600);
  });

  test('a hold that is not committed yet keeps the step waiting, whatever isolation it has', async () => {
    const mine = await makeStream(events(600));
    const record = await mine.recordPurge(await preview(clients.retention, mine.stream, 512));
    await clients.legal.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await hold(mine, { actor: 'u-300' });
    const step = stepPurge(clients.retention, record, 4096);
    await whenBlocked();
    await clients.legal.query('COMMIT');
    expect(await step).toMatchObject(refusal('differ in'));
    expect(await seqsOf(mine, 'records')).toEqual(range(0, 601));
  });
});
