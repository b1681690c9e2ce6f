/** The purge in the store: what goes, what is held, and what is left of a stream. */
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listHolds, placeHold, type HoldFilter } from '../../store/holds.ts';
import { planRetention, stepPurge } from '../../store/retention.ts';
import { verifyStore } from '../../store/verify-store.ts';
import {
  events,
  openPurgeStore,
  range,
  tenantOf,
  type PurgeStore,
} from '../support/purge-store.ts';
import { createPurgeableStream, preview, runPurge } from '../support/purging.ts';

let bench: PurgeStore;
let store: PurgeStore['store'];
let clients: PurgeStore['clients'];
let { makeStream, hold, lift, purge, seqsOf, verify }: PurgeStore = {} as never;

beforeAll(async () => {
  bench = await openPurgeStore();
  ({ store, clients, makeStream, hold, lift, purge, seqsOf, verify } = bench);
});
afterAll(() => bench[Symbol.asyncDispose]());

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
    // More is left than the record says: what has to be there nothing says.
    expect(await verify(mine)).toMatchObject({ verdict: 'cannot_tell', findings: [] });
    expect((await verify(mine)).notes.join()).toContain('not carried out to its end');
    const plan = await planRetention(clients.retention);
    expect(plan.ok && plan.value.find(({ stream }) => stream === mine.stream)?.pending).toEqual(
      record,
    );
    const again = new pg.Client(bench.server.url('retention'));
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
    expect(await verifyStore({ url: bench.server.url('auditor') })).toMatchObject({
      verdict: 'intact',
    });
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
