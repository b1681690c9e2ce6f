import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SYSLOG_DEFAULTS } from '../../../../agent/config-defaults.ts';
import { formatMessage } from '../../../../agent/deliver/sinks/syslog-message.ts';
import type { Logger, Sink } from '../../../../agent/ports.ts';
import type { SyslogExporterConfig } from '../../../../schemas/exporter-config.ts';
import { silentLog } from '../../../support/append-stage.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { DELIVERED, startTestLoop, whenDelivered, writeLedger } from '../../../support/delivery.ts';
import { testWhere } from '../../../support/host.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { hasRsyslog, startRsyslog, type Rsyslog } from '../../../support/rsyslog.ts';
import { startSyslogReceiver } from '../../../support/syslog-receiver.ts';
import {
  openTestSink,
  sealedRecords,
  send,
  SINK_BASE,
  testFormat,
} from '../../../support/sinks.ts';
import { createKeptLog } from '../../observe/support.ts';
import { createSealer } from '../../../store/sealed.ts';

const testRsyslog = testWhere(hasRsyslog, 'rsyslog and rsyslog-openssl are not installed');
const vocabulary = {
  version: 1,
  actions: new Map(
    (['low', 'high', 'critical'] as const).map((sensitivity) => [
      `a.${sensitivity}`,
      {
        action: `a.${sensitivity}`,
        category: 'data_access',
        description: 'A.',
        sensitivity,
        fail_policy: 'fail_closed',
        retention_class: 'standard',
        ocsf: { class_uid: 6005, activity_id: 1 },
        ecs: { category: ['database'], type: ['access'] },
      } as const,
    ]),
  ),
} as const;
const sealer = createSealer();
const records = sealedRecords(30, undefined, [sealer]);
const ids = records.map(({ event }) => event.event_id);

function open(
  endpoint: string,
  over: Partial<SyslogExporterConfig> = {},
  log: Logger = silentLog,
): Promise<Sink & AsyncDisposable> {
  return openTestSink(
    {
      ...SYSLOG_DEFAULTS,
      ...SINK_BASE,
      name: 'syslog',
      type: 'syslog',
      endpoint,
      transport: 'tcp',
      timeout_ms: 3_000,
      ...over,
    },
    vocabulary,
    log,
  );
}

const whenThere = (server: Rsyslog, wanted: readonly string[]): Promise<void> =>
  expect.poll(async () => [...new Set(await server.ids())], { interval: 50 }).toEqual(wanted);

test('a message is RFC 5424: every field in its grammar, values escaped, severity by outcome and sensitivity', () => {
  const form = { facility: 13, hostName: 'hä st', appName: 'sealtrail', vocabulary };
  const priorities = (['low', 'high', 'critical'] as const).flatMap((sensitivity) =>
    (['success', 'denied'] as const).map((outcome) => {
      const record = { ...createSealer().seal({ action: `a.${sensitivity}`, outcome }), number: 0 };
      return formatMessage(record, '{}\n', form).slice(0, 6);
    }),
  );
  expect(priorities).toEqual(['<110>1', '<109>1', '<110>1', '<108>1', '<110>1', '<106>1']);

  const odd = createSealer('agent/"x]\\/standard').seal({ time: '2026-03-01T10:00:00.123Z' });
  const text = formatMessage({ ...odd, number: 0 }, '{"a":1}\n', form);
  const [head, message] = text.split('] {');
  expect(message).toBe('"a":1}');
  expect(head).toBe(
    '<110>1 2026-03-01T10:00:00.123Z hst sealtrail - customer.export ' +
      `[sealtrail@32473 event_id="${odd.event.event_id}" stream="agent/\\"x\\]\\\\/standard" seq="0" ` +
      `tenant="acme" this_hash="${odd.this_hash}"`,
  );
});

testRsyslog.each([
  { format: 'ecs', confirm: false },
  { format: 'ocsf', confirm: true },
] as const)('rsyslog gets every record over TLS, whole and once: %o', async (over) => {
  await using temp = await makeTempDir();
  const authority = createAuthority();
  const ca_file = join(temp.path, 'authority.pem');
  await writeFile(ca_file, authority.cert);
  await using server = await startRsyslog(temp.path, {
    ...authority.issue('siem'),
    ca: authority.cert,
  });
  const tls = { ca_file, insecure_skip_verify: false };
  await using sink = await open(server.endpoint, { ...over, transport: 'tls', tls });
  for (let from = 0; from < records.length; from += 10)
    expect(await send(sink, records.slice(from, from + 10))).toEqual(DELIVERED);
  await whenThere(server, ids);
  const lines = await server.lines();
  expect(lines).toHaveLength(records.length);
  const [line] = lines;
  const [record] = records;
  expect(line).toMatchObject({
    pri: '110',
    time: record?.event.event.time,
    host: 'host-1',
    app: 'sealtrail',
    msgid: 'customer.export',
    sd: expect.stringContaining(`stream="${record?.event.chain.stream}" seq="0"`),
  });
  expect(lines.map(({ msg }) => `${msg}\n`)).toEqual(
    records.map(testFormat(over.format, vocabulary)),
  );
});

testRsyslog(
  'a receiver killed and started again gets what it had not written, before anything newer',
  async () => {
    await using temp = await makeTempDir();
    await using server = await startRsyslog(temp.path);
    await using sink = await open(server.endpoint);
    for (let from = 0; from < records.length; from += 10) {
      expect(await send(sink, records.slice(from, from + 10))).toEqual(DELIVERED);
      await server.kill();
      expect(await send(sink, records.slice(from, from + 10))).toMatchObject({
        kind: 'failed',
        reason: expect.stringContaining('ECONNREFUSED'),
      });
      await server.start();
    }
    expect(await send(sink, records.slice(-1))).toEqual(DELIVERED);
    await whenThere(server, ids);
  },
);

testRsyslog(
  'down from the start, up later: the loop gets everything there and sets nothing aside',
  async () => {
    await using temp = await makeTempDir();
    const durable = await writeLedger(temp.path, 50);
    await using server = await startRsyslog(temp.path);
    await server.kill();
    const sink = await open(server.endpoint, { confirm: true });
    const loop = await startTestLoop(temp.path, durable, sink);
    await expect.poll(() => loop.report().state).toBe('retrying');
    await server.start();
    await whenDelivered(loop, durable);
    expect(loop.report()).toMatchObject({ dead_letters: 0, delivered_total: durable });
    await loop.stop();
    await expect.poll(async () => new Set(await server.ids()).size).toBe(durable);
  },
);

testRsyslog(
  'certificates: of nobody we trust, expired, or ours not permitted any more: nothing counts as delivered',
  async () => {
    await using temp = await makeTempDir();
    const authority = createAuthority();
    const client = authority.issue('agent-1');
    const files = { ca_file: 'authority.pem', cert_file: 'client.pem', key_file: 'client.key' };
    const paths = Object.fromEntries(
      Object.entries(files).map(([name, file]) => [name, join(temp.path, file)]),
    );
    await writeFile(join(temp.path, files.ca_file), authority.cert);
    await writeFile(join(temp.path, files.cert_file), client.cert);
    await writeFile(join(temp.path, files.key_file), client.key);
    const ca = authority.cert;
    const good = { ...authority.issue('siem'), ca };
    await using server = await startRsyslog(temp.path, {
      ...createAuthority('another').issue('siem'),
      ca,
    });
    const tls = { ...paths, insecure_skip_verify: false };
    await using sink = await open(server.endpoint, { transport: 'tls', tls });
    expect(await send(sink, records)).toMatchObject({
      reason: expect.stringContaining('unable to verify'),
    });

    await server.kill();
    await server.start({ ...authority.issue('siem', { daysLeft: -1 }), ca });
    expect(await send(sink, records)).toMatchObject({
      reason: expect.stringContaining('has expired'),
    });

    await server.kill();
    await server.start({ ...good, permitted: 'localhost' });
    expect(await send(sink, records.slice(0, 10))).toEqual(DELIVERED);
    await whenThere(server, ids.slice(0, 10));

    // Revoked. The handshake of TLS 1.3 is over for us before the receiver has looked at our certificate.
    await server.kill();
    await server.start({ ...good, ca: createAuthority('a third').cert, permitted: 'localhost' });
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await send(sink, records.slice(10))).toMatchObject({ kind: 'failed' });
    expect(new Set(await server.ids()).size).toBe(10);

    await server.kill();
    await server.start({ ...good, permitted: 'localhost' });
    expect(await send(sink, records.slice(10))).toEqual(DELIVERED);
    await whenThere(server, ids);
  },
);

test.each([{ confirm: false }, { confirm: true }])(
  'connections reset at any byte lose no message: %o',
  async (over) => {
    await using receiver = await startSyslogReceiver();
    await using sink = await open(receiver.endpoint, over);
    receiver.resetAfter.push(0, 1, 500, 2_000, 20_000, 30_000);
    for (let from = 0; from < records.length; from += 10) {
      let result = await send(sink, records.slice(from, from + 10));
      while (result.kind === 'failed') result = await send(sink, records.slice(from, from + 10));
      expect(result).toEqual(DELIVERED);
    }
    await sink.close();
    expect(receiver.resetAfter).toEqual([]);
    expect(receiver.violations).toEqual([]);
    // First appearances in order; repeats are told by their id.
    expect([...new Set(receiver.ids())]).toEqual(ids);
  },
);

test('a connection lost while nothing was sent brings all that was not read again, first', async () => {
  await using receiver = await startSyslogReceiver();
  await using sink = await open(receiver.endpoint);
  receiver.pause(true);
  expect(await send(sink, records.slice(0, 10))).toEqual(DELIVERED);
  expect(await send(sink, records.slice(10, 20))).toEqual(DELIVERED);
  receiver.reset();
  receiver.pause(false);
  expect(receiver.messages).toEqual([]);
  expect(await send(sink, records.slice(20))).toEqual(DELIVERED);
  await sink.close();
  expect(receiver.ids()).toEqual(ids);
});

test('a quiet agent, which has no next batch, brings them again by itself', async () => {
  await using receiver = await startSyslogReceiver();
  await using sink = await open(receiver.endpoint);
  receiver.pause(true);
  expect(await send(sink, records)).toEqual(DELIVERED);
  receiver.reset();
  receiver.pause(false);
  await expect.poll(receiver.ids).toEqual(ids);
  expect(receiver.connections()).toBe(2);
  // Once: a connection that stays brings nothing.
  await sink.close();
  expect(receiver.ids()).toEqual(ids);
});

testRsyslog(
  'rsyslog killed before it read a last batch gets it when it is back, without another',
  async () => {
    await using temp = await makeTempDir();
    await using server = await startRsyslog(temp.path);
    await using sink = await open(server.endpoint);
    expect(await send(sink, records.slice(0, 10))).toEqual(DELIVERED);
    await whenThere(server, ids.slice(0, 10));
    server.freeze();
    expect(await send(sink, records.slice(10))).toEqual(DELIVERED);
    await server.kill();
    await server.start();
    await whenThere(server, ids);
  },
);

test('a stop that takes unread batches with it says so, also when the connection is known to be gone', async () => {
  const log = createKeptLog();
  const receiver = await startSyslogReceiver();
  await using sink = await open(receiver.endpoint, {}, log);
  receiver.pause(true);
  expect(await send(sink, records.slice(0, 10))).toEqual(DELIVERED);
  await receiver[Symbol.asyncDispose]();
  expect(await send(sink, records.slice(10))).toMatchObject({ kind: 'failed' });
  await sink.close();
  expect(log.lines.map(({ message }) => message)).toEqual([
    'syslog: the last batches may not be read',
  ]);
});

test('what is kept to be sent again is bounded: 10 MiB, or the last batch', async () => {
  await using receiver = await startSyslogReceiver();
  await using sink = await open(receiver.endpoint, { message_bytes_max: 65_536 });
  const large = sealedRecords(40, () => ({ metadata: { note: 'x'.repeat(40_000) } }));
  // Twelve batches of 1.6 MiB, each read at once.
  for (let count = 1; count <= 12; count++) {
    expect(await send(sink, large)).toEqual(DELIVERED);
    await expect.poll(() => receiver.messages.length).toBe(count * large.length);
  }
  receiver.reset();
  const again = (): number =>
    receiver.messages.slice(12 * large.length).reduce((sum, text) => sum + text.length, 0);
  await expect.poll(again).toBeGreaterThan(8 << 20);
  await sink.close();
  expect(again()).toBeLessThanOrEqual(10 << 20);
});

test('a slow reader is waited for; one that does not read fails the batch, and gets it later', async () => {
  const large = Array.from({ length: 4_000 }, (_, number) => ({
    ...(records[0] ?? never()),
    number,
  }));
  await using receiver = await startSyslogReceiver();
  await using sink = await open(receiver.endpoint, { timeout_ms: 400 });
  receiver.pause(true);
  // More than the kernel's buffers take.
  const batch = [...large, ...large, ...large];
  expect(await send(sink, batch)).toEqual({
    kind: 'failed',
    reason: expect.stringContaining('the receiver does not read: timeout'),
  });
  receiver.pause(false);
  expect(await send(sink, batch)).toEqual(DELIVERED);
  await sink.close();
  expect(receiver.messages.length).toBeGreaterThanOrEqual(batch.length);
});

test('confirm: a receiver that never closes its side fails the batch with the remedy', async () => {
  await using receiver = await startSyslogReceiver();
  receiver.closes = false;
  await using sink = await open(receiver.endpoint, { confirm: true, timeout_ms: 300 });
  expect(await send(sink, records)).toEqual({
    kind: 'failed',
    reason: expect.stringContaining('confirm: false'),
  });
  receiver.closes = true;
  expect(await send(sink, records)).toEqual(DELIVERED);
});

test('a message over the limit is poison with its size, without its contents; the others go', async () => {
  await using receiver = await startSyslogReceiver();
  await using sink = await open(receiver.endpoint, { message_bytes_max: 2_048 });
  const big = { ...sealer.seal({ metadata: { note: 'x'.repeat(3_000) } }), number: 1 };
  const result = await send(sink, [...records.slice(0, 1), big, ...records.slice(2, 3)]);
  expect(result).toEqual({
    kind: 'delivered',
    retry: [],
    poison: [
      { index: 1, reason: expect.stringMatching(/^\d{4} bytes, message_bytes_max is 2048$/) },
    ],
  });
  await sink.close();
  expect(receiver.ids()).toEqual([ids[0], ids[2]]);
});

test('a name that does not resolve, a port where nobody listens, a handshake nobody answers, and a stop', async () => {
  await using lost = await open('syslog.invalid:6514', { timeout_ms: 2_000 });
  expect(await send(lost, records)).toMatchObject({
    reason: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|timeout/),
  });
  const silent = createServer((socket) => socket.on('error', () => undefined).resume());
  silent.listen(0, '127.0.0.1');
  await new Promise((listening) => silent.once('listening', listening));
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await using mute = await open(`127.0.0.1:${port}`, { transport: 'tls', timeout_ms: 200 });
  expect(await send(mute, records)).toEqual({
    kind: 'failed',
    reason: `127.0.0.1:${port}: no connection: timeout`,
  });
  expect(await send(mute, records, AbortSignal.abort())).toMatchObject({
    reason: expect.stringContaining('stopped'),
  });
  await new Promise((closed) => silent.close(closed));
  expect(await send(mute, records)).toMatchObject({
    reason: expect.stringContaining('ECONNREFUSED'),
  });
});

function never(): never {
  throw new Error('there are records');
}
