/** docs/GATEWAY.md's accounts, on a real nats-server: each user does its own work, and nobody else's. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect } from 'vitest';
import { forkSubject, formatForkNotice } from '../../agent/fork-notice.ts';
import { subjectOf, tenantToken } from '../../agent/nats-subject.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts';
import { whenShared } from '../support/gateway-trial.ts';
import { testWhere } from '../support/host.ts';
import { hasNats, startNats, type TestNats } from '../support/nats.ts';
import { openNatsSink } from '../support/nats-sink.ts';
import { readStore } from '../support/outcome.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer } from '../store/sealed.ts';

const test = testWhere(hasNats, 'permissions need nats-server');
const page = readFileSync(join(import.meta.dirname, '../../docs/GATEWAY.md'), 'utf8');
const accounts = /```conf\n([^]*?)```/.exec(page)?.[1] ?? '';
let postgres: TestPostgres;
let nats: TestNats;
let gateway: GatewayProcess;

beforeAll(async () => {
  if (!hasNats) return;
  postgres = await startPostgres();
  const store = createPostgresStore({
    url: postgres.url('writer'),
    ownerUrl: postgres.url('owner'),
  });
  expect(await store.migrate()).toMatchObject({ ok: true });
  await store.close();
  nats = await startNats(accounts.replace(/\$[A-Z]+_PASSWORD/g, 'secret'));
  gateway = await startGatewayProcess({
    name: 'gateway',
    nats: { servers: [nats.url], create_stream: true, ...loginOf('gateway') },
    postgresql: { url: postgres.url('writer') },
  });
  await whenShared([gateway]);
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const loginOf = (user: string): { username: string; password: string; inbox_prefix: string } => ({
  username: user,
  password: 'secret',
  inbox_prefix: `_INBOX_${user}`,
});

async function connectAs(user: string): Promise<NatsConnection & AsyncDisposable> {
  const connection = await connect({
    servers: nats.url,
    user,
    pass: 'secret',
    inboxPrefix: `_INBOX_${user}`,
  });
  return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.close() });
}

test('the page shows the tokens of its tenants', () => {
  for (const tenant of ['acme', 'globex', 'sealtrail'])
    expect(accounts).toContain(`sealtrail.*.${tenantToken(tenant)}`);
});

test("a tenant's agent delivers its own records, through the gateway into the store, and no other tenant's", async () => {
  const signal = new AbortController().signal;
  for (const [user, other] of [
    ['acme', 'globex'],
    ['globex', 'acme'],
  ] as const) {
    const heard: string[] = [];
    const warned: string[] = [];
    const sink = openNatsSink(
      nats.url,
      { ...loginOf(user), timeout_ms: 10_000 },
      {
        log: { warn: (fields) => warned.push(JSON.stringify(fields)) },
        onFork: ({ stream }) => heard.push(stream),
      },
    );
    const [own, foreign] = [createSealer(undefined, user), createSealer(undefined, other)];
    const record = { ...own.seal(), number: 0 };
    expect(await sink.deliver([record], signal)).toMatchObject({ kind: 'delivered', retry: [] });
    await eventually(async () => {
      const hashes = (await readStore(postgres.url('auditor'))).map(({ this_hash }) => this_hash);
      expect(hashes).toContain(record.this_hash);
    });
    // Of forks it hears from gateways, in its own tenant; tenants tell one another nothing.
    await using teller = await connectAs('gateway');
    await using stranger = await connectAs(other);
    const tell = (by: NatsConnection, tenant: string, stream: string): void =>
      by.publish(
        forkSubject('sealtrail', tenantToken(tenant)),
        formatForkNotice({ stream, reason: 'fork: taken' }),
      );
    tell(stranger, user, 'by a stranger');
    await stranger.flush();
    tell(teller, other, 'of another tenant');
    tell(teller, user, own.stream);
    await eventually(() => expect(heard).toEqual([own.stream]));
    expect(warned).toEqual([]);
    const refused = await sink.deliver([{ ...foreign.seal(), number: 1 }], signal);
    expect(refused).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/[Pp]ermission/),
    });
    await sink.close();
  }
});

test("a tenant's user reads nothing: not by subject, not by another's inbox, not out of the stream", async () => {
  const { stream } = createSealer();
  for (const subject of [
    'sealtrail.>',
    subjectOf('sealtrail', 'globex', stream),
    subjectOf('sealtrail', 'acme', stream),
    '_INBOX.>',
    '_INBOX_gateway.>',
    '_INBOX_globex.>',
    '>',
    '$JS.ACK.>',
  ]) {
    await using acme = await connectAs('acme');
    const denied = new Promise<string>((tell) =>
      acme.subscribe(subject, { callback: (error) => tell(error?.name ?? 'a message') }),
    );
    expect([subject, await denied]).toEqual([subject, 'PermissionViolationError']);
  }
  await using acme = await connectAs('acme');
  const manager = await jetstreamManager(acme, { checkAPI: false, timeout: 10_000 });
  await expect(manager.streams.info('SEALTRAIL')).rejects.toThrow(/[Pp]ermission/);
  await expect(manager.streams.getMessage('SEALTRAIL', { seq: 1 })).rejects.toThrow(
    /[Pp]ermission/,
  );
  await expect(manager.streams.purge('SEALTRAIL')).rejects.toThrow(/[Pp]ermission/);
  await expect(manager.streams.delete('SEALTRAIL')).rejects.toThrow(/[Pp]ermission/);
  await expect(
    manager.consumers.add('SEALTRAIL', { durable_name: 'spy', ack_policy: 'none' }),
  ).rejects.toThrow(/[Pp]ermission/);
  expect(await whatGatewayMayDo()).toEqual({ info: 'ok', delete: 'denied', publish: 'denied' });
});

/** The gateways' user takes records out; it can neither delete the stream nor put a record in. */
async function whatGatewayMayDo(): Promise<object> {
  await using connection = await connectAs('gateway');
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 10_000 });
  const outcome = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'ok',
      (error: unknown) => (/[Pp]ermission/.test(String(error)) ? 'denied' : String(error)),
    );
  const subject = subjectOf('sealtrail', 'acme', 'some-stream');
  return {
    info: await outcome(manager.streams.info('SEALTRAIL')),
    delete: await outcome(manager.streams.delete('SEALTRAIL')),
    publish: await outcome(jetstream(connection, { timeout: 10_000 }).publish(subject, 'x')),
  };
}
