/** The socket receiver and clients that misbehave: each costs only itself, and acks still go out. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Appender } from '../../../agent/ports.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { encodeFrame } from '../../../schemas/wire-codec.ts';
import { FrameType } from '../../../schemas/wire.ts';
import { makeEvent } from '../../support/events.ts';
import { eventually } from '../../support/eventually.ts';
import { batchFrame, connectRaw, helloFrame } from '../../support/raw-client.ts';
import { startSocketReceiver } from '../../support/socket-receiver.ts';
import { cpuMs } from '../../support/cpu.ts';

const line = (): string =>
  JSON.stringify(
    makeEvent({
      event: {
        action: 'user.login',
        category: 'authentication',
        outcome: 'success',
        time: '2026-03-01T10:00:00.000Z',
      },
    }),
  );

/** A client that writes and never reads. */
async function connectDeaf(path: string): Promise<Socket> {
  const socket = connect({ path });
  socket.pause();
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Counts the batches that a stage was given. */
function counting(count: () => void): (appender: Appender) => Appender {
  return (appender) => ({
    ...appender,
    append: (request) => {
      count();
      return appender.append(request);
    },
  });
}

test('a frame of millions of empty lines is refused by their number, before one of them is looked at', async () => {
  await using receiver = await startSocketReceiver();
  using hostile = await connectRaw(receiver.socketPath);
  using other = await connectRaw(receiver.socketPath);
  await hostile.greet();
  await other.greet();
  const header = Buffer.from('{"batch":1,"first_seq":0}\n');
  const tookMs = cpuMs();
  hostile.send(
    encodeFrame(FrameType.batch, Buffer.concat([header, Buffer.alloc(4_000_000, '\n')])),
  );
  expect(await hostile.next()).toMatchObject({ value: { kind: 'protocol_error' } });
  await other.batch([line()], 0);
  expect(tookMs()).toBeLessThan(1_000);
});

test('a client that does not read its ACKs is not read either, so that they never pile up', async () => {
  let batches = 0;
  await using receiver = await startSocketReceiver({ wrap: counting(() => (batches += 1)) });
  const deaf = await connectDeaf(receiver.socketPath);
  deaf.write(helloFrame());
  // 8 KiB of nonsense is answered with some 300 KiB of refusals.
  const nonsense = Array<string>(4096).fill('x');
  for (let batch = 1; batch <= 40; batch++)
    deaf.write(batchFrame(nonsense, { batch, first_seq: batch * 4096 }));
  await eventually(() => expect(batches).toBeGreaterThan(3));
  using other = await connectRaw(receiver.socketPath);
  await other.greet();
  // Rounds of another client: time enough for the agent to have read on.
  for (let seq = 0; seq < 100; seq++) await other.batch([line()], seq);
  expect(batches - 100).toBeLessThan(20);
  deaf.resume();
  await eventually(() => expect(batches).toBe(140));
  deaf.destroy();
});

test('batches of one client that wait for their answer are bounded', async () => {
  let batches = 0;
  const release: (() => void)[] = [];
  await using receiver = await startSocketReceiver({
    wrap: (appender) => ({
      ...appender,
      append: (request) => {
        batches += 1;
        return new Promise<void>((go) => release.push(go)).then(() => appender.append(request));
      },
    }),
  });
  using client = await connectRaw(receiver.socketPath);
  await client.greet();
  for (let batch = 1; batch <= 500; batch++)
    client.send(batchFrame([line()], { batch, first_seq: batch - 1 }));
  await eventually(() => expect(batches).toBeGreaterThanOrEqual(16));
  using other = await connectRaw(receiver.socketPath);
  for (let round = 0; round < 20; round++) await new Promise((resolve) => setImmediate(resolve));
  expect(batches).toBeLessThan(100);
  const pump = setInterval(() => release.splice(0).forEach((go) => go()), 1);
  for (let batch = 1; batch <= 500; batch++)
    expect(await client.next()).toMatchObject({ type: FrameType.ack, value: { batch } });
  clearInterval(pump);
  expect(other.producer).not.toBe(client.producer);
});

test('clients beyond the limit are told and let go, though they stay on the line', async () => {
  await using receiver = await startSocketReceiver({
    connectionsMax: 2,
    limits: { lingerMs: 60_000 },
  });
  const inside = [await connectRaw(receiver.socketPath), await connectRaw(receiver.socketPath)];
  for (const client of inside) await client.greet();
  // Neither reads nor closes.
  const outside = await connectDeaf(receiver.socketPath);
  const told = await connectRaw(receiver.socketPath);
  expect(await told.next()).toMatchObject({
    value: { message: expect.stringContaining('connections_max') as string },
  });
  expect(await told.next(), 'closed').toBeNull();
  const startedMs = performance.now();
  await receiver.close(200);
  expect(performance.now() - startedMs).toBeLessThan(30_000);
  outside.destroy();
});

test('a client that is cut off, or leaves without reading, gives its place back, whatever it does', async () => {
  await using receiver = await startSocketReceiver({ connectionsMax: 2, limits: { lingerMs: 50 } });
  // Cut off for what it said, and silent from then on.
  const stubborn = await connectDeaf(receiver.socketPath);
  stubborn.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  const leaver = await connectDeaf(receiver.socketPath);
  leaver.write(helloFrame());
  for (let batch = 1; batch <= 20; batch++)
    leaver.write(batchFrame(Array<string>(4096).fill('x'), { batch, first_seq: batch * 4096 }));
  leaver.end();
  await eventually(async () => {
    using next = await connectRaw(receiver.socketPath);
    await next.greet();
  });
  stubborn.destroy();
  leaver.destroy();
});

test('who says no HELLO is told, and gives its place back though it stays on the line', async () => {
  const limits = { helloMs: 50, lingerMs: 50 };
  await using receiver = await startSocketReceiver({ connectionsMax: 1, limits });
  const deaf = await connectDeaf(receiver.socketPath);
  await eventually(async () => {
    using silent = await connectRaw(receiver.socketPath);
    expect(await silent.next()).toMatchObject({
      value: { message: expect.stringContaining('no HELLO') as string },
    });
  });
  await eventually(async () => {
    using client = await connectRaw(receiver.socketPath);
    await client.greet();
    await client.batch([line()], 0);
  });
  deaf.destroy();
});

test('after a refusal that may pass nothing more of the connection is taken, answered or not', async () => {
  let answerFirst = (): void => undefined;
  const taken: number[] = [];
  await using receiver = await startSocketReceiver({
    wrap: (appender) => ({
      ...appender,
      append: async (request) => {
        taken.push(request.firstSeq ?? -1);
        // The first batch is long in being answered, as one is whose receipts are looked up.
        if (request.firstSeq === 0) await new Promise<void>((go) => (answerFirst = go));
        if (request.firstSeq !== 1) return appender.append(request);
        const reason = { kind: 'disk_full', message: 'no space' } as const;
        return request.events.map(() => ({ kind: 'refused', refusal: reason }) as const);
      },
    }),
  });
  using client = await connectRaw(receiver.socketPath);
  await client.greet();
  client.send(batchFrame([line()], { batch: 1, first_seq: 0 }));
  await eventually(() => expect(taken).toEqual([0]));
  client.send(batchFrame([line()], { batch: 2, first_seq: 1 }));
  await eventually(() => expect(taken).toEqual([0, 1]));
  client.send(batchFrame([line()], { batch: 3, first_seq: 2 }));
  using other = await connectRaw(receiver.socketPath);
  await other.greet();
  for (let seq = 10; seq < 20; seq++) await other.batch([line()], seq);
  answerFirst();
  expect(await client.next()).toMatchObject({
    type: FrameType.ack,
    value: { batch: 1, rejected: [] },
  });
  expect(await client.next()).toMatchObject({
    type: FrameType.ack,
    value: { batch: 2, receipts: [null] },
  });
  expect(await client.next()).toMatchObject({
    type: FrameType.error,
    value: { kind: 'disk_full' },
  });
  expect(taken).not.toContain(2);
});

test('numbers of a batch that would pass 2^53 are refused', async () => {
  await using receiver = await startSocketReceiver();
  using client = await connectRaw(receiver.socketPath);
  await client.greet();
  client.send(batchFrame([line(), line()], { batch: 1, first_seq: Number.MAX_SAFE_INTEGER }));
  expect(await client.next()).toMatchObject({
    type: FrameType.error,
    value: { kind: 'protocol_error', field: '/first_seq' },
  });
});

test('what was read before the agent stops is acked, and nothing after it is taken', async () => {
  await using receiver = await startSocketReceiver();
  using client = await connectRaw(receiver.socketPath);
  await client.greet();
  for (let batch = 1; batch <= 30; batch++)
    client.send(batchFrame([line(), line()], { batch, first_seq: (batch - 1) * 2 }));
  await client.next();
  await receiver.close(60_000);
  let acked = 1;
  let answer = await client.next();
  while (answer?.type === FrameType.ack) {
    acked += 1;
    answer = await client.next();
  }
  expect(answer).toMatchObject({ type: FrameType.error, value: { kind: 'shutting_down' } });
  await receiver.test.close();
  expect(await verifyLedger(receiver.dir)).toMatchObject({
    verdict: 'intact',
    records: 1 + acked * 2,
  });
});
