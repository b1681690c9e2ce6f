/** The NATS sink when server, network, certificate or account fail it: nothing is lost, nothing is there twice. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type ConnectionOptions } from '@nats-io/transport-node';
import { expect } from 'vitest';
import { formatRecord } from '../../../../ledger/frame.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { testWhere } from '../../../support/host.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { hasNats, startNats } from '../../../support/nats.ts';
import { openNatsSink } from '../../../support/nats-sink.ts';
import { sealedRecords, send } from '../../../support/sinks.ts';

const test = testWhere(hasNats, 'the NATS sink needs nats-server');
const DELIVERED = { kind: 'delivered', retry: [], poison: [] };
const records = sealedRecords(20);
const lines = records.map((one) =>
  formatRecord(one.eventText, one.prev_hash, one.this_hash).trimEnd(),
);

/** Makes the stream, or says what it holds, over a connection of its own. */
async function stored(servers: string, options: ConnectionOptions = {}): Promise<string[]> {
  const connection = await connect({ servers, ...options });
  try {
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'SEALTRAIL', subjects: ['sealtrail.*.*'] });
    const { state } = await manager.streams.info('SEALTRAIL');
    const texts: string[] = [];
    for (let seq = 1; seq <= state.last_seq; seq++)
      texts.push((await manager.streams.getMessage('SEALTRAIL', { seq }))?.string() ?? '');
    return texts;
  } finally {
    await connection.close();
  }
}

/** Passes bytes on to a server, and resets each connection once so many have come back; one number a connection. */
async function startCutter(
  port: number,
  answers: number[],
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer((client) => {
    const upstream = connectTcp(port, '127.0.0.1');
    let left = answers.shift() ?? Number.POSITIVE_INFINITY;
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    client.on('data', (bytes) => void upstream.write(bytes));
    upstream.on('data', (bytes) => {
      client.write(bytes.subarray(0, Math.min(left, bytes.length)));
      left -= bytes.length;
      if (left < 0) client.resetAndDestroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

test('a connection that is reset anywhere within the answers loses nothing, and nothing is there twice', async () => {
  await using server = await startNats();
  expect(await stored(server.url)).toEqual([]);
  // The greeting of a server is some 400 bytes, an answer some 60.
  const cuts = [0, 100, 500, 600, 700, 900, 1_200, 1_500];
  await using cutter = await startCutter(server.port, cuts);
  await using sink = openNatsSink(cutter.url);
  let failures = 0;
  for (;;) {
    const result = await send(sink, records);
    if (result.kind === 'delivered' && result.retry.length === 0) break;
    failures += 1;
  }
  expect(cuts).toEqual([]);
  expect(failures).toBeGreaterThan(4);
  expect(await stored(server.url)).toEqual(lines);
});

test('a server that hangs fails the batch in time, also the connect; awake again it has each record once', async () => {
  await using server = await startNats();
  await stored(server.url);
  await using sink = openNatsSink(server.url, { timeout_ms: 300 });
  // With so short a time-out a busy machine may need more than one try.
  await expect.poll(() => send(sink, records.slice(0, 5))).toEqual(DELIVERED);
  process.kill(server.pid(), 'SIGSTOP');
  await expect.poll(() => readFileSync(`/proc/${server.pid()}/stat`, 'utf8')).toMatch(/\) T /);
  try {
    expect(await send(sink, records)).toMatchObject({ kind: 'failed' });
    await using anew = openNatsSink(server.url, { timeout_ms: 300 });
    expect(await send(anew, records)).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/cannot connect to NATS: .*timeout/i),
    });
  } finally {
    process.kill(server.pid(), 'SIGCONT');
  }
  await expect.poll(() => send(sink, records)).toEqual(DELIVERED);
  expect(await stored(server.url)).toEqual(lines);
});

test('a signal to stop that comes while it connects is heeded: nothing is sent', async () => {
  await using server = await startNats();
  await stored(server.url);
  await using sink = openNatsSink(server.url);
  const stopping = new AbortController();
  const sent = sink.deliver(records, stopping.signal);
  stopping.abort();
  expect(await sent).toMatchObject({ kind: 'failed' });
  expect(await sink.deliver(records, AbortSignal.abort())).toMatchObject({ kind: 'failed' });
  expect(await stored(server.url)).toEqual([]);
});

test('a certificate that expired, or of another host: nothing is sent until it is right', async () => {
  await using dir = await makeTempDir();
  const authority = createAuthority();
  const at = (name: string): string => join(dir.path, name);
  const show = async ({ cert, key }: ReturnType<typeof authority.issue>): Promise<void> => {
    await writeFile(at('cert'), cert);
    await writeFile(at('key'), key);
  };
  const config = `tls { cert_file: "${at('cert')}", key_file: "${at('key')}" }`;
  await writeFile(at('ca'), authority.cert);
  await show(authority.issue('nats', { daysLeft: -1 }));
  await using server = await startNats(config);
  const tls = { ca_file: at('ca'), insecure_skip_verify: false };
  await using sink = openNatsSink(server.url.replace('nats:', 'tls:'), { tls });
  expect(await send(sink, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('expired'),
  });
  await show(authority.issue('nats', { host: 'other.example' }));
  await server.reload(config);
  expect(await send(sink, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/altname|alt.?names/i),
  });
  await show(authority.issue('nats'));
  await server.reload(config);
  const trusted = { tls: { ca: authority.cert } };
  expect(await stored(server.url, trusted)).toEqual([]);
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(await stored(server.url, trusted)).toEqual(lines);
});

test('an account that is revoked while it is connected gets nothing in; put back, everything is there once', async () => {
  const users = (password: string): string =>
    `authorization { users: [ { user: audit, password: ${password} }, { user: admin, password: a } ] }`;
  await using server = await startNats(users('right'));
  const admin = { user: 'admin', pass: 'a' };
  await stored(server.url, admin);
  await using sink = openNatsSink(server.url, { username: 'audit', password: 'right' });
  expect(await send(sink, records.slice(0, 5))).toEqual(DELIVERED);
  await server.reload(users('another'));
  await expect
    .poll(() => send(sink, records))
    .toMatchObject({ kind: 'failed', reason: expect.stringMatching(/authorization/i) });
  expect(await stored(server.url, admin)).toEqual(lines.slice(0, 5));
  await server.reload(users('right'));
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(await stored(server.url, admin)).toEqual(lines);
});

test('a name that does not resolve fails the batch with its reason', async () => {
  await using lost = openNatsSink('nats://nowhere.invalid:4222');
  expect(await send(lost, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|timeout/i),
  });
});
