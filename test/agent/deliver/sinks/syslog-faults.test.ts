/** The syslog sink when the receiver, the connection or the time fails it. */
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { DELIVERED } from '../../../support/delivery.ts';
import { testWhere } from '../../../support/host.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { hasRsyslog, startRsyslog, type Rsyslog } from '../../../support/rsyslog.ts';
import { startSyslogReceiver } from '../../../support/syslog-receiver.ts';
import { sealedRecords, send } from '../../../support/sinks.ts';
import { createKeptLog } from '../../observe/support.ts';
import { ids, openSyslog, records, sealer } from '../../../support/syslog-sink.ts';

const testRsyslog = testWhere(hasRsyslog, 'rsyslog and rsyslog-openssl are not installed');
const whenThere = (server: Rsyslog, wanted: readonly string[]): Promise<void> =>
  expect.poll(async () => [...new Set(await server.ids())], { interval: 50 }).toEqual(wanted);

test.each([{ confirm: false }, { confirm: true }])(
  'connections reset at any byte lose no message: %o',
  async (over) => {
    await using receiver = await startSyslogReceiver();
    await using sink = await openSyslog(receiver.endpoint, over);
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
  await using sink = await openSyslog(receiver.endpoint);
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
  await using sink = await openSyslog(receiver.endpoint);
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
    await using sink = await openSyslog(server.endpoint);
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
  await using sink = await openSyslog(receiver.endpoint, {}, log);
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
  await using sink = await openSyslog(receiver.endpoint, { message_bytes_max: 65_536 });
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
  await using sink = await openSyslog(receiver.endpoint, { timeout_ms: 400 });
  receiver.pause(true);
  // More than the kernel's buffers take.
  const batch = [...large, ...large, ...large];
  expect(await send(sink, batch)).toEqual({
    kind: 'failed',
    reason: expect.stringContaining('the receiver does not read: timeout'),
  });
  receiver.pause(false);
  await expect.poll(() => send(sink, batch)).toEqual(DELIVERED);
  await sink.close();
  expect(receiver.messages.length).toBeGreaterThanOrEqual(batch.length);
});

test('confirm: a receiver that never closes its side fails the batch with the remedy', async () => {
  await using receiver = await startSyslogReceiver();
  receiver.closes = false;
  await using sink = await openSyslog(receiver.endpoint, { confirm: true, timeout_ms: 300 });
  expect(await send(sink, records)).toEqual({
    kind: 'failed',
    reason: expect.stringContaining('confirm: false'),
  });
  receiver.closes = true;
  await expect.poll(() => send(sink, records)).toEqual(DELIVERED);
});

test('a message over the limit is poison with its size, without its contents; the others go', async () => {
  await using receiver = await startSyslogReceiver();
  await using sink = await openSyslog(receiver.endpoint, { message_bytes_max: 2_048 });
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
  await using lost = await openSyslog('syslog.invalid:6514', { timeout_ms: 2_000 });
  expect(await send(lost, records)).toMatchObject({
    reason: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|timeout/),
  });
  const silent = createServer((socket) => socket.on('error', () => undefined).resume());
  silent.listen(0, '127.0.0.1');
  await new Promise((listening) => silent.once('listening', listening));
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await using mute = await openSyslog(`127.0.0.1:${port}`, { transport: 'tls', timeout_ms: 200 });
  expect(await send(mute, records)).toEqual({
    kind: 'failed',
    reason: `127.0.0.1:${port}: no connection: timeout`,
  });
  expect(await send(mute, records, AbortSignal.abort())).toMatchObject({
    reason: expect.stringContaining('stopped'),
  });
  await new Promise((closed) => silent.close(closed));
  await expect
    .poll(() => send(mute, records))
    .toMatchObject({ reason: expect.stringContaining('ECONNREFUSED') });
});

function never(): never {
  throw new Error('there are records');
}
