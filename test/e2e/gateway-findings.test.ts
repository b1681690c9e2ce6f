/** What a gateway makes of messages that are no genuine records, of gaps, of streams that drop, and of SIGTERM. */
import { join } from 'node:path';
import { jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect } from 'vitest';
import { findStreamFaults } from '../../agent/gateway/stream.ts';
import { subjectOf, tenantToken } from '../../agent/nats-subject.ts';
import { hashRecord } from '../../ledger/chain.ts';
import { formatRecord } from '../../ledger/frame.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { StoredRecord } from '../../store/store.ts';
import { runCli, startAgentProcess } from '../support/agent-process.ts';
import { eventually, startStopwatch } from '../support/eventually.ts';
import { startGoodClient } from '../support/good-client.ts';
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts';
import { whenShared } from '../support/gateway-trial.ts';
import { testWhere } from '../support/host.ts';
import { hasNats, startNats, type TestNats } from '../support/nats.ts';
import { readRecords } from '../support/outcome.ts';
import { connectTo, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer } from '../store/sealed.ts';

const test = testWhere(hasNats, 'gateways need nats-server');
let postgres: TestPostgres;
let nats: TestNats;
/** Asked again and again: one connection for all of it. */
let auditor: Awaited<ReturnType<typeof connectTo>>;
let gateway: GatewayProcess;
let connection: NatsConnection;

beforeAll(async () => {
  if (!hasNats) return;
  postgres = await startPostgres();
  const store = createPostgresStore({
    url: postgres.url('writer'),
    ownerUrl: postgres.url('owner'),
  });
  expect(await store.migrate()).toMatchObject({ ok: true });
  await store.close();
  auditor = await connectTo(postgres.url('auditor'));
  nats = await startNats();
  gateway = await startGatewayProcess({
    name: 'findings',
    // What comes a second time is kept a second time: only a gateway that has gone leaves something unanswered.
    nats: { servers: [nats.url], create_stream: true, ack_wait_ms: 600_000 },
    postgresql: { url: postgres.url('writer') },
  });
  await whenShared([gateway]);
  connection = await connect({ servers: nats.url });
});
afterAll(async () => {
  await connection?.close();
  await gateway?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
  await auditor?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const lineOf = ({ eventText, prev_hash, this_hash }: StoredRecord): string =>
  formatRecord(eventText, prev_hash, this_hash).trimEnd();
const subjectOfRecord = ({ event }: StoredRecord): string =>
  subjectOf('sealtrail', event.resource.tenant_id, event.chain.stream);
/** The record with another event in it, hashed anew onto the same predecessor. */
function forge(record: StoredRecord): StoredRecord {
  const eventText = record.eventText.replace('"Ada"', '"Eve"');
  expect(eventText).not.toBe(record.eventText);
  return { ...record, eventText, this_hash: hashRecord(record.prev_hash, eventText) };
}

async function publish(text: string, subject: string): Promise<void> {
  await jetstream(connection).publish(subject, text);
}
async function stored(stream: string): Promise<string[]> {
  const { rows } = await auditor.client.query<{ this_hash: string }>(
    'SELECT this_hash FROM audit.events WHERE stream = $1 ORDER BY seq',
    [stream],
  );
  return rows.map(({ this_hash }) => this_hash);
}
const whenStored = (records: readonly StoredRecord[]): Promise<void> =>
  eventually(async () =>
    expect(await stored(records[0]!.event.chain.stream)).toEqual(
      records.map(({ this_hash }) => this_hash),
    ),
  );
const whenFound = (count: number): Promise<void> =>
  eventually(async () => expect(await gateway.letters()).toHaveLength(count));

test('altered, forged, misdirected and foreign messages are found and kept, and the genuine records stand', async () => {
  const sealer = createSealer();
  const records = [sealer.seal(), sealer.seal(), sealer.seal()];
  const subject = subjectOfRecord(records[0]!);
  for (const record of records) await publish(lineOf(record), subject);
  await whenStored(records);
  expect(await gateway.letters()).toEqual([]);

  const next = sealer.seal();
  const elsewhere = `sealtrail.${subject.split('.')[1]}.${tenantToken('globex')}`;
  const broken = { ...next, prev_hash: records[0]!.this_hash };
  const bad: readonly (readonly [kind: string, text: string, subject: string])[] = [
    ['altered', lineOf(records[1]!).replace('"Ada"', '"Eve"'), subject],
    ['fork', lineOf(forge(records[1]!)), subject],
    [
      'link_broken',
      lineOf({ ...broken, this_hash: hashRecord(broken.prev_hash, broken.eventText) }),
      subject,
    ],
    ['subject_differs', lineOf(next), elsewhere],
    ['malformed', 'hello', subject],
  ];
  for (const [index, [, text, on]] of bad.entries()) {
    await publish(text, on);
    await whenFound(index + 1);
  }
  const letters = await gateway.letters();
  expect(letters.map(({ kind }) => kind)).toEqual(bad.map(([kind]) => kind));
  expect(letters.map((one) => Buffer.from(one.data_base64, 'base64').toString())).toEqual(
    bad.map(([, text]) => text),
  );
  // A message is counted once it is kept.
  await eventually(async () => {
    const { refused_total } = await gateway.status();
    for (const [kind] of bad) expect(refused_total, kind).toMatchObject({ [kind]: 1 });
  });
  const metrics = await (await fetch(`${gateway.adminUrl()}/metrics`)).text();
  expect(metrics).toContain('audit_gateway_refused_total{kind="fork"} 1');
  expect(gateway.output()).toContain('FINDING');
  expect(gateway.output()).not.toContain('Eve');
  // The genuine one still finds its place, and nothing that was stored has changed.
  await publish(lineOf(next), subject);
  await whenStored([...records, next]);
  const verified = await runCli(['verify', '--store', postgres.url('auditor')]);
  expect(verified).toMatchObject({ code: 0 });
});

test('records that come last first are held, and stored in their order once the first is there', async () => {
  const sealer = createSealer();
  const records = Array.from({ length: 20 }, () => sealer.seal());
  const subject = subjectOfRecord(records[0]!);
  const before = (await gateway.letters()).length;
  for (const record of records.slice(1).reverse()) await publish(lineOf(record), subject);
  await eventually(async () =>
    expect((await gateway.status()).waiting).toMatchObject([{ stream: sealer.stream, missing: 0 }]),
  );
  expect(await stored(sealer.stream)).toEqual([]);
  await publish(lineOf(records[0]!), subject);
  await whenStored(records);
  expect(await gateway.letters()).toHaveLength(before);
  await eventually(async () => expect((await gateway.status()).waiting).toEqual([]));
});

test('an agent whose place another has filled hears of it, and goes on in a new incarnation that is stored', async () => {
  await using agent = await startAgentProcess({ exporters: { nats: { servers: [nats.url] } } });
  const client = await startGoodClient(agent);
  await client.reached(2);
  await agent.delivered();
  const before = (await client.stop()).acked;
  const { stream } = before[0]!;
  await eventually(async () => expect(await stored(stream)).toContain(before.at(-1)!.this_hash));
  // Whoever lives on a copy of its ledger has been faster by a record.
  const last = (await readRecords(join(agent.dir, 'ledger'))).findLast(
    ({ event }) => event.chain.stream === stream,
  )!;
  const { tenant_id } = last.event.resource;
  const other = createSealer(stream, tenant_id, { ...last, eventText: '' }).seal();
  await publish(lineOf(other), subjectOfRecord(other));
  await eventually(async () => expect(await stored(stream)).toContain(other.this_hash));
  expect((await agent.status()).rollback).toBe(null);

  const still = await startGoodClient(agent);
  await eventually(async () => expect((await agent.status()).rollback).toContain('fork: stream'));
  // What its loop has under way may have been sealed just before.
  const own = await still.audit.record({
    action: 'customer.read',
    outcome: 'success',
    actor: { type: 'user', id: 'u-1', name: 'Ada' },
    resource: { type: 'customer', id: 'c-1' },
  });
  expect((await still.stop()).failed).toEqual([]);
  expect(own.stream).not.toBe(stream);
  await eventually(async () => expect(await stored(own.stream)).toContain(own.this_hash));
  expect(agent.output()).toContain('lives twice');
  const told = (await readRecords(join(agent.dir, 'ledger'))).filter(
    ({ event }) => event.event.action === 'ledger.rolled_back',
  );
  expect(told).toHaveLength(1);
});

test('SIGTERM under load: it stops within 10 s, and another gateway has all of it', async () => {
  const sealer = createSealer();
  const records = Array.from({ length: 3_000 }, () => sealer.seal());
  const subject = subjectOfRecord(records[0]!);
  await using second = await startGatewayProcess({
    name: 'second',
    nats: { servers: [nats.url], ack_wait_ms: 600_000 },
    postgresql: { url: postgres.url('writer') },
  });
  await whenShared([gateway, second]);
  const { shards } = await gateway.status();
  const busy = shards.includes(subject.split('.')[1]!) ? gateway : second;
  await Promise.all(records.map((record) => publish(lineOf(record), subject)));
  const elapsedMs = startStopwatch();
  expect(await busy.stop()).toBe(0);
  expect(elapsedMs()).toBeLessThan(10_000);
  await whenStored(records);
  await busy.start();
});

test('a stream that may drop records is refused, by name of the setting; one that may not is taken', async () => {
  const manager = await jetstreamManager(connection);
  const { config } = await manager.streams.info('SEALTRAIL');
  expect(findStreamFaults(config, 'sealtrail')).toEqual([]);
  const wrong: readonly Partial<StreamConfig>[] = [
    { storage: 'memory' },
    { discard: 'old' },
    { max_age: 1 },
    { retention: 'interest' },
    { retention: 'limits' },
    { no_ack: true },
    { subjects: ['other.>'] },
  ];
  for (const over of wrong)
    expect(
      findStreamFaults({ ...config, ...over }, 'sealtrail'),
      JSON.stringify(over),
    ).toHaveLength(1);

  await manager.streams.add({
    name: 'LOSSY',
    subjects: ['lossy.*.*'],
    retention: 'workqueue',
    discard: 'old',
  });
  await using refusing = await startGatewayProcess({
    name: 'refusing',
    nats: { servers: [nats.url], stream: 'LOSSY', subject_prefix: 'lossy' },
    postgresql: { url: postgres.url('writer') },
  });
  await eventually(async () => {
    const ready = await fetch(`${refusing.adminUrl()}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('discard')]);
  });
  expect((await fetch(`${gateway.adminUrl()}/readyz`)).status).toBe(200);
});
