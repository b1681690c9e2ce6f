/** The NATS sink against a real nats-server: what JetStream acknowledged, and nothing else, is confirmed. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect, credsAuthenticator, nkeys } from '@nats-io/transport-node';
import { expect } from 'vitest';
import { forkSubject, formatForkNotice } from '../../../../agent/fork-notice.ts';
import { subjectOf, tenantToken } from '../../../../agent/nats-subject.ts';
import type { DeliveryRecord, Fork } from '../../../../agent/ports.ts';
import { formatRecord } from '../../../../ledger/frame.ts';
import type { NatsExporterConfig } from '../../../../schemas/exporter-config.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { eventually } from '../../../support/eventually.ts';
import { testWhere } from '../../../support/host.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { hasNats, startNats, type TestNats } from '../../../support/nats.ts';
import { createNatsOperator } from '../../../support/nats-operator.ts';
import { openNatsSink } from '../../../support/nats-sink.ts';
import { sealedRecords, send } from '../../../support/sinks.ts';
import { createSealer } from '../../../store/sealed.ts';

const test = testWhere(hasNats, 'the NATS sink needs nats-server');
const DELIVERED = { kind: 'delivered', retry: [], poison: [] };

const sealed = (
  count: number,
  tenants: readonly string[] = ['acme'],
  note = 'größer',
): readonly DeliveryRecord[] =>
  sealedRecords(
    count,
    () => ({ metadata: { note } }),
    tenants.map((tenant) => createSealer(undefined, tenant)),
  );

async function manage<T>(
  server: TestNats,
  use: (manager: JetStreamManager) => Promise<T>,
  options: object = {},
): Promise<T> {
  const connection = await connect({ servers: server.url, ...options });
  try {
    return await use(await jetstreamManager(connection));
  } finally {
    await connection.close();
  }
}

const addStream = (
  server: TestNats,
  over: Partial<StreamConfig> = {},
  options = {},
): Promise<unknown> =>
  manage(
    server,
    (manager) => manager.streams.add({ name: 'SEALTRAIL', subjects: ['sealtrail.*.*'], ...over }),
    options,
  );

const messages = (server: TestNats): Promise<{ subject: string; text: string }[]> =>
  manage(server, async (manager) => {
    const { state } = await manager.streams.info('SEALTRAIL');
    const all: { subject: string; text: string }[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage('SEALTRAIL', { seq });
      if (message !== null) all.push({ subject: message.subject, text: message.string() });
    }
    return all;
  });

test('every record arrives as the ledger has it, on the subject of tenant and stream, in order; a second time changes nothing', async () => {
  await using server = await startNats();
  await addStream(server);
  await using sink = openNatsSink(server.url);
  const records = sealed(60, ['acme', 'globex']);
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(await send(sink, records)).toEqual(DELIVERED);
  const found = await messages(server);
  expect(found.map(({ text }) => `${text}\n`)).toEqual(
    records.map((one) => formatRecord(one.eventText, one.prev_hash, one.this_hash)),
  );
  expect(found.map(({ subject }) => subject)).toEqual(
    records.map(({ event }) =>
      subjectOf('sealtrail', event.resource.tenant_id, event.chain.stream),
    ),
  );
  expect(new Set(found.map(({ subject }) => subject.split('.')[2]))).toEqual(
    new Set([tenantToken('acme'), tenantToken('globex')]),
  );
});

test('without the stream nothing is confirmed; another stream on these subjects is not taken for it', async () => {
  await using server = await startNats();
  await using sink = openNatsSink(server.url);
  const records = sealed(3);
  expect(await send(sink, records)).toMatchObject({ kind: 'failed' });
  await addStream(server, { name: 'OTHER' });
  expect(await send(sink, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/expected stream/),
  });
  expect(
    await manage(server, async (one) => (await one.streams.info('OTHER')).state.messages),
  ).toBe(0);
});

test('a full stream turns records away, which are sent again until there is room', async () => {
  await using server = await startNats();
  await addStream(server, { discard: 'new', max_msgs: 2 });
  await using sink = openNatsSink(server.url);
  const records = sealed(5);
  expect(await send(sink, records)).toMatchObject({
    kind: 'delivered',
    retry: [2, 3, 4],
    poison: [],
  });
  await manage(server, (one) => one.streams.update('SEALTRAIL', { max_msgs: 100 }));
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(await messages(server)).toHaveLength(5);
});

test('a record that is too large is poison, whoever says so; the others arrive', async () => {
  await using server = await startNats('max_payload: 65536');
  await addStream(server, { max_msg_size: 20_000 });
  await using sink = openNatsSink(server.url);
  const [small, tooLarge, larger] = [
    sealed(1),
    sealed(1, ['acme'], 'x'.repeat(30_000)),
    sealed(1, ['acme'], 'x'.repeat(70_000)),
  ];
  const result = await send(sink, [...small, ...tooLarge, ...larger]);
  expect(result).toMatchObject({
    kind: 'delivered',
    retry: [],
    poison: [
      { index: 1, reason: expect.stringMatching(/max_msg_size/) },
      { index: 2, reason: expect.stringMatching(/max_payload/) },
    ],
  });
  expect(JSON.stringify(result)).not.toContain('xxx');
  expect(await messages(server)).toHaveLength(1);
});

test('a server that is killed costs time: the same records are confirmed after its restart, once each', async () => {
  await using server = await startNats();
  await addStream(server);
  await using sink = openNatsSink(server.url);
  const records = sealed(50);
  expect(await send(sink, records.slice(0, 20))).toEqual(DELIVERED);
  await server.kill();
  expect(await send(sink, records)).toMatchObject({ kind: 'failed' });
  await server.start();
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(await messages(server)).toHaveLength(50);
});

test('the signal to stop ends a batch that waits for its answer', async () => {
  await using server = await startNats();
  await addStream(server, { no_ack: true });
  await using sink = openNatsSink(server.url, { timeout_ms: 60_000 });
  const stopping = new AbortController();
  const sent = sink.deliver(sealed(2), stopping.signal);
  // It waits for a PubAck that never comes.
  await manage(server, async (one) => {
    for (;;) if ((await one.streams.info('SEALTRAIL')).state.messages === 2) return;
  });
  stopping.abort();
  expect(await sent).toMatchObject({ kind: 'failed' });
});

test('what a gateway tells of a tenant is heard of the tenants whose records were sent, and of no other', async () => {
  await using server = await startNats();
  await addStream(server);
  const heard: Fork[] = [];
  await using sink = openNatsSink(server.url, {}, { onFork: (fork) => heard.push(fork) });
  expect(await send(sink, sealed(2))).toEqual(DELIVERED);
  const connection = await connect({ servers: server.url });
  const tell = (tenant: string, text: string): void =>
    connection.publish(forkSubject('sealtrail', tenantToken(tenant)), text);
  const fork = { stream: 'sealtrail/a/b/c/standard', reason: 'fork: taken' };
  tell('globex', formatForkNotice({ ...fork, reason: 'of another tenant' }));
  for (const none of ['', '{}', '{"stream":1,"reason":"x"}', '[]']) tell('acme', none);
  tell('acme', formatForkNotice({ ...fork, reason: 'x'.repeat(5_000) }));
  tell('acme', formatForkNotice(fork));
  await eventually(() => expect(heard.at(-1)).toEqual(fork));
  expect(heard.map(({ reason }) => reason.length)).toEqual([1_000, fork.reason.length]);
  await connection.close();
});

test('a user who may not hear of forks delivers all the same, and the log says so', async () => {
  await using server = await startNats(
    'authorization { users: [{ user: u, password: p, permissions: {' +
      ' publish: [">"], subscribe: ["_INBOX.>"] } }] }',
  );
  const login = { username: 'u', password: 'p' };
  await addStream(server, {}, { user: 'u', pass: 'p' });
  const warned: string[] = [];
  const log = { warn: (_: object, message: string) => void warned.push(message) };
  await using sink = openNatsSink(server.url, login, { log });
  expect(await send(sink, sealed(2))).toEqual(DELIVERED);
  await eventually(() => expect(warned).toEqual([expect.stringContaining('may not subscribe')]));
  expect(await send(sink, sealed(2))).toEqual(DELIVERED);
});

test('user and password, token and nkey are shown; without them, or with wrong ones, the reason says so', async () => {
  await using dir = await makeTempDir();
  const user = nkeys.createUser();
  const nkey_file = join(dir.path, 'user.nk');
  await writeFile(nkey_file, `${Buffer.from(user.getSeed()).toString()}\n`);
  const ways: readonly [string, Partial<NatsExporterConfig>, Partial<NatsExporterConfig>][] = [
    [
      'authorization { user: u, password: right }',
      { username: 'u', password: 'right' },
      { username: 'u', password: 'wrong' },
    ],
    ['authorization { token: right }', { token: 'right' }, { token: 'wrong' }],
    [`authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`, { nkey_file }, {}],
  ];
  for (const [config, right, wrong] of ways) {
    await using server = await startNats(config);
    await using refused = openNatsSink(server.url, wrong);
    const result = await send(refused, sealed(1));
    expect(result).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/[Aa]uthorization/),
    });
    expect(JSON.stringify(result)).not.toContain('wrong');
    await using taken = openNatsSink(server.url, right);
    // Logged in: now the stream is what is missing.
    expect(await send(taken, sealed(1)), config).toMatchObject({
      reason: expect.stringMatching(/^no stream takes/),
    });
  }
});

test('a creds file is shown and read anew: revoked or expired it lets nobody in, put back it does', async () => {
  await using dir = await makeTempDir();
  const creds_file = join(dir.path, 'user.creds');
  const operator = createNatsOperator();
  await using server = await startNats(operator.config);
  await writeFile(creds_file, operator.creds);
  const authenticator = credsAuthenticator(Buffer.from(operator.creds));
  await addStream(server, {}, { authenticator });
  await using sink = openNatsSink(server.url, { creds_file });
  const records = sealed(6);
  for (const refused of [createNatsOperator().creds, operator.expiredCreds]) {
    await writeFile(creds_file, refused);
    await using other = openNatsSink(server.url, { creds_file });
    const result = await send(other, records);
    expect(result).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/[Aa]uthorization|expired/),
    });
    expect(JSON.stringify(result)).not.toMatch(/SU[A-Z2-7]{56}|eyJ/);
    await writeFile(creds_file, operator.creds);
    expect(await send(other, records.slice(0, 3))).toEqual(DELIVERED);
  }
  expect(await send(sink, records)).toEqual(DELIVERED);
});

test('over TLS: with the authority that signed, and never with another, nor in the clear', async () => {
  await using dir = await makeTempDir();
  const [authority, stranger] = [createAuthority(), createAuthority('stranger')];
  const leaf = authority.issue('nats');
  const files = { ca: authority.cert, stranger: stranger.cert, cert: leaf.cert, key: leaf.key };
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir.path, name), text);
  const at = (name: string): string => join(dir.path, name);
  await using server = await startNats(
    `tls { cert_file: "${at('cert')}", key_file: "${at('key')}" }`,
  );
  const url = server.url.replace('nats:', 'tls:');
  const tls = (ca: string) => ({ tls: { ca_file: at(ca), insecure_skip_verify: false } });
  await addStream(server, {}, { tls: { ca: authority.cert } });
  await using right = openNatsSink(url, tls('ca'));
  expect(await send(right, sealed(2))).toEqual(DELIVERED);
  await using wrong = openNatsSink(url, tls('stranger'));
  expect(await send(wrong, sealed(2))).toMatchObject({ kind: 'failed' });
  await using plain = await startNats();
  await using refused = openNatsSink(plain.url.replace('nats:', 'tls:'));
  expect(await send(refused, sealed(1))).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/tls/),
  });
});
