/** Retention in the store: what may go, what is held, who may, and what every false purge looks like. */
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liftHold, listHolds, placeHold, type HoldFilter } from '../../store/holds.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { planRetention, previewPurge, stepPurge } from '../../store/retention.ts';
import { setClasses } from '../../store/retention-policy.ts';
import type { Store } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import {
  createPurgeableStream,
  LONG_AGO,
  preview,
  runPurge,
  type PurgeableStream,
} from '../support/purging.ts';
import type { EventFields } from './sealed.ts';

let server: TestPostgres;
let store: Store;
const clients: Record<'owner' | 'retention' | 'legal' | 'admin' | 'auditor', pg.Client> =
  {} as never;
let labels = 0;

beforeAll(async () => {
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  expect(await store.migrate()).toMatchObject({ ok: true });
  for (const role of ['owner', 'retention', 'legal', 'admin', 'auditor'] as const) {
    clients[role] = new pg.Client(server.url(role));
    await clients[role].connect();
  }
  const standard = { class: 'standard', regime: 'PCI DSS', days: 366 };
  await setClasses(clients.owner, [{ ...standard, days: 1 }, standard], 'test');
});

afterAll(async () => {
  for (const client of Object.values(clients)) await client.end();
  await store.close();
  await server.stop();
});

/** Numbered events of one actor each. */
function events(count: number, from = 0): EventFields[] {
  return Array.from({ length: count }, (_, n) => ({ actor: `u-${from + n}` }));
}

/** A stream of its own tenant, so that holds of one test touch no other. */
async function makeStream(fields: readonly EventFields[] = events(600)): Promise<PurgeableStream> {
  labels += 1;
  const made = createPurgeableStream(store, `t${labels}`, String(labels).padStart(16, '0'));
  await made.store(fields);
  return made;
}

function tenantOf({ records }: PurgeableStream): string {
  return records[0]?.event.resource.tenant_id ?? '';
}

async function hold(of: PurgeableStream, filter: HoldFilter, matter = 'M-1'): Promise<string> {
  const hold_id = ulid();
  const all = { tenant: tenantOf(of), ...filter };
  await placeHold(clients.legal, {
    hold_id,
    matter,
    reason: 'court',
    filter: all,
    placed_by: 'ada',
  });
  return hold_id;
}

const lift = (hold_id: string): Promise<void> =>
  liftHold(clients.legal, { hold_id, reason: 'settled', by: 'ada' });

async function purge(
  of: PurgeableStream,
  size: number,
): Promise<Awaited<ReturnType<typeof runPurge>>> {
  return runPurge(
    clients.retention,
    await of.recordPurge(await preview(clients.retention, of.stream, size)),
  );
}

async function seqsOf(
  of: PurgeableStream,
  table: 'records' | 'stubs' | 'record_keys',
): Promise<number[]> {
  const found = await clients.admin.query<{ seq: string }>(
    `SELECT seq FROM audit.${table} t JOIN audit.streams s USING (stream_id) WHERE stream = $1 ORDER BY seq`,
    [of.stream],
  );
  return found.rows.map(({ seq }) => Number(seq));
}

const verify = (of: PurgeableStream) =>
  verifyStore({ url: server.url('auditor'), stream: of.stream });

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

async function codeOf(client: pg.Client, sql: string): Promise<string> {
  const done = await client.query(sql).catch((error: { code?: string }) => error.code);
  return typeof done === 'string' ? done : 'ok';
}

describe('a purge', () => {
  test('takes the expired prefix, and what remains verifies from the named hash on', async () => {
    const mine = await makeStream();
    const planned = await planRetention(clients.retention);
    expect(planned.ok && planned.value.find(({ stream }) => stream === mine.stream)).toMatchObject({
      policy: { days: 366 },
      ...{ first: 0, next: 600, expired: 600, purged: 0, pending: null },
    });
    expect(await purge(mine, 512)).toMatchObject({ purged: 512, base: 512, finished: true });
    expect(await seqsOf(mine, 'records')).toEqual(range(512, 601));
    expect(await seqsOf(mine, 'record_keys')).toEqual(range(512, 601));
    expect(await seqsOf(mine, 'stubs')).toEqual([]);
    const verified = await verify(mine);
    expect(verified).toMatchObject({ verdict: 'intact', records: 89, findings: [] });
    expect(verified.streams[0]).toMatchObject({ verified_to: 600 });
    expect(verified.notes.join()).toContain('up to seq 511 were purged, 0 of them kept');
  });

  test('leaves held records whole between stubs, and lifting the hold frees them', async () => {
    const mine = await makeStream();
    const [held, other] = [
      await hold(mine, { actor: 'u-300' }),
      await hold(mine, { actor: 'u-301' }, 'M-2'),
    ];
    const first = await preview(clients.retention, mine.stream, 512);
    expect(first).toMatchObject({ base: 256, kept: 2, records: 510, matters: ['M-1', 'M-2'] });
    expect(await purge(mine, 512)).toMatchObject({ purged: 510, base: 256 });
    expect(await seqsOf(mine, 'records')).toEqual([300, 301, ...range(512, 601)]);
    expect(await seqsOf(mine, 'stubs')).toEqual([...range(256, 300), ...range(302, 512)]);
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });

    await lift(other);
    expect(await purge(mine, 512)).toMatchObject({ purged: 1 });
    expect(await seqsOf(mine, 'records')).toEqual([300, ...range(512, 602)]);
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });

    await lift(held);
    expect(await purge(mine, 512)).toMatchObject({ purged: 1, base: 512 });
    expect(await seqsOf(mine, 'records')).toEqual(range(512, 603));
    expect(await seqsOf(mine, 'stubs')).toEqual([]);
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
    const held1 = (await listHolds(clients.legal, 'M-1')).find(({ hold_id }) => hold_id === held);
    expect(held1).toMatchObject({
      filter: { actor: 'u-300' },
      lifted: { by: 'ada', reason: 'settled' },
    });
  });

  test('each member of a filter narrows the hold', async () => {
    const mine = await makeStream([
      ...events(250),
      {
        actor: 'x',
        action: 'a.one',
        resourceType: 'doc',
        resourceId: 'd-1',
        time: '2024-01-02T00:00:00.000Z',
      },
      {
        actor: 'x',
        action: 'a.two',
        resourceType: 'doc',
        resourceId: 'd-2',
        time: '2024-02-02T00:00:00.000Z',
      },
      {
        actor: 'y',
        onBehalfOf: 'x',
        action: 'a.one',
        resourceId: 'r'.repeat(1024) + 'é'.repeat(200),
      },
      ...events(10),
    ]);
    const keeps = async (filter: HoldFilter): Promise<number> => {
      const id = await hold(mine, filter);
      const { kept } = await preview(clients.retention, mine.stream, 256);
      await lift(id);
      return kept;
    };
    expect(await keeps({ actor: 'x' })).toBe(3);
    expect(await keeps({ actor: 'x', action: 'a.one' })).toBe(2);
    expect(await keeps({ resourceType: 'doc' })).toBe(2);
    expect(await keeps({ resourceId: 'r'.repeat(1024) + 'é'.repeat(200) })).toBe(1);
    expect(await keeps({ from: '2024-01-02T00:00:00Z', to: '2024-02-02T00:00:00Z' })).toBe(1);
    expect(await keeps({ eventIds: [mine.records[7]!.event.event_id, ulid()] })).toBe(1);
    expect(await keeps({ category: 'data_access' })).toBe(256);
    expect(await keeps({ actor: 'nobody' })).toBe(0);
    const nothing = { hold_id: ulid(), matter: 'M', reason: 'r', filter: {}, placed_by: 'ada' };
    await expect(placeHold(clients.legal, nothing)).rejects.toThrow(/check/);
  });

  test('goes on where it was cut off, and counts nothing twice', async () => {
    const mine = await makeStream(events(1100));
    await hold(mine, { actor: 'u-520' });
    const record = await mine.recordPurge(await preview(clients.retention, mine.stream, 1024));
    const step = await stepPurge(clients.retention, record, 256);
    expect(step).toMatchObject({ value: { done_to: 256, purged: 256, finished: false } });
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
    expect((await verify(mine)).notes.join()).toContain('not carried out to its end');
    const plan = await planRetention(clients.retention);
    expect(plan.ok && plan.value.find(({ stream }) => stream === mine.stream)?.pending).toEqual(
      record,
    );
    const again = new pg.Client(server.url('retention'));
    await again.connect();
    await again.query('BEGIN');
    await stepPurge(again, record, 512);
    // The connection dies before it commits.
    await again.end();
    expect(await seqsOf(mine, 'records')).toContain(256);
    expect(await runPurge(clients.retention, record, 256)).toMatchObject({ purged: 1023 });
    expect(await runPurge(clients.retention, record, 256)).toMatchObject({ purged: 1023 });
    expect(await seqsOf(mine, 'records')).toEqual([520, ...range(1024, 1101)]);
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
  });

  test('a hold placed in the middle of it is obeyed: the purge stops, and another one is recorded', async () => {
    const mine = await makeStream(events(1100));
    const record = await mine.recordPurge(await preview(clients.retention, mine.stream, 1024));
    await stepPurge(clients.retention, record, 256);
    await hold(mine, { actor: 'u-300' });
    expect(await stepPurge(clients.retention, record, 256)).toMatchObject({
      error: { kind: 'refused', message: expect.stringContaining('holds were placed') as string },
    });
    expect(await purge(mine, 1024)).toMatchObject({ base: 256, purged: 767 });
    expect(await seqsOf(mine, 'records')).toEqual([300, ...range(1024, 1102)]);
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
  });

  test('an event that another record carries as well is shown by that one from then on', async () => {
    const [mine, spare] = [await makeStream(), await makeStream([])];
    const event_id = mine.records[5]!.event.event_id;
    const fields = {
      event_id,
      actor: 'u-5',
      tenant: tenantOf(mine),
      receivedAt: new Date().toISOString(),
    };
    await createPurgeableStream(store, tenantOf(mine), 'f'.repeat(16)).store([fields]);
    await purge(mine, 512);
    const shown = await clients.auditor.query('SELECT seq FROM audit.events WHERE event_id = $1', [
      event_id,
    ]);
    expect(shown.rows).toEqual([{ seq: '0' }]);
    expect(await verifyStore({ url: server.url('auditor') })).toMatchObject({ verdict: 'intact' });
    expect(spare.records).toEqual([]);
  });

  test('a record that is sent again after it was purged stays purged, and is confirmed', async () => {
    const mine = await makeStream();
    await hold(mine, { actor: 'u-300' });
    await purge(mine, 512);
    const late = mine.records.slice(250, 530);
    expect(await store.appendRecords(late)).toMatchObject({
      value: { stored: 0, repeated: 280, refused: [] },
    });
    await mine.store([{ actor: 'new', receivedAt: new Date().toISOString() }]);
    const forged = { ...mine.records[280]!, this_hash: mine.records[281]!.this_hash };
    expect(await store.appendRecords([forged])).toMatchObject({
      value: { refused: [{ kind: 'fork' }] },
    });
    expect(await seqsOf(mine, 'records')).toEqual([300, ...range(512, 602)]);
    expect(await verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
  });
});

describe('the purge function refuses', () => {
  const refusal = (message: string) => ({
    ok: false,
    error: { kind: 'refused', message: expect.stringContaining(message) as string },
  });

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
    const [refused, writer] = ['42501', new pg.Client(server.url('writer'))];
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
