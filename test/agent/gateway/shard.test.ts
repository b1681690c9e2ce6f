/** Shards against a real JetStream: what a consumer forgets or holds on to is handed out again. */
import { jetstream, jetstreamManager, type JetStreamClient } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import type { GatewayMessage } from '../../../agent/gateway/incoming.ts';
import { startShard, type ShardWorker } from '../../../agent/gateway/shard.ts';
import { prepareStream, renewConsumer } from '../../../agent/gateway/stream.ts';
import { eventually } from '../../support/eventually.ts';
import { testWhere } from '../../support/host.ts';
import { hasNats, startNats, type TestNats } from '../../support/nats.ts';

const test = testWhere(hasNats, 'shards need nats-server');
const OPTIONS = {
  stream: 'SEALTRAIL',
  subjectPrefix: 'sealtrail',
  consumer: 'gateway',
  createStream: true,
  // Longer than any test: nothing comes again because time has passed.
  ackWaitMs: 3_600_000,
};
let nats: TestNats;
let connection: NatsConnection;
let client: JetStreamClient;

beforeAll(async () => {
  if (!hasNats) return;
  nats = await startNats();
  connection = await connect({ servers: nats.url });
  client = jetstream(connection);
});
beforeEach(async () => {
  if (!hasNats) return;
  const manager = await jetstreamManager(connection);
  expect(await prepareStream(manager, OPTIONS)).toEqual({ ok: true, value: undefined });
  await manager.streams.purge(OPTIONS.stream);
});
afterAll(async () => {
  await connection?.close();
  await nats?.[Symbol.asyncDispose]();
});

const publish = async (texts: readonly string[]): Promise<void> => {
  for (const text of texts) await client.publish('sealtrail.a.tenant', text);
};
const whenEmpty = async (): Promise<void> => {
  const manager = await jetstreamManager(connection);
  await eventually(async () =>
    expect((await manager.streams.info(OPTIONS.stream)).state.messages).toBe(0),
  );
};
const textOf = ({ data }: GatewayMessage): string => Buffer.from(data).toString();

/** Takes the shard over; what is handed out is `heard`, and answered where `answers` says so. */
async function takeOver(
  heard: string[],
  answers: (message: GatewayMessage) => void,
): Promise<ShardWorker> {
  return startShard({
    consumer: await renewConsumer(client, OPTIONS, 'a'),
    batchRecordsMax: 100,
    handle: async (messages) => {
      for (const message of messages) {
        heard.push(textOf(message));
        answers(message);
      }
    },
    onFailed: (reason) => expect.unreachable(reason),
  });
}
const stop = (worker: ShardWorker): Promise<void> => worker.stop(new AbortController().signal);

test('whoever takes a shard over gets at once what its last holder had in hand, and nothing that was answered', async () => {
  await publish(['1', '2', '3', '4']);
  const first: string[] = [];
  const holder = await takeOver(first, (message) => {
    if (textOf(message) !== '2') return;
    message.ack();
  });
  await eventually(() => expect(first).toEqual(['1', '2', '3', '4']));
  await stop(holder);
  const second: string[] = [];
  const next = await takeOver(second, (message) => message.ack());
  await eventually(() => expect(second).toEqual(['1', '3', '4']));
  await whenEmpty();
  await stop(next);
  const third: string[] = [];
  const last = await takeOver(third, (message) => message.ack());
  await publish(['5']);
  await eventually(() => expect(third).toEqual(['5']));
  await stop(last);
});

test('a shard that is handed nothing although messages wait is stalled; one with nothing to do is not', async () => {
  const heard: string[] = [];
  const worker = await takeOver(heard, (message) => {
    if (textOf(message) === 'answered') message.ack();
  });
  expect(await worker.isStalled(0)).toBe(false);
  await publish(['answered']);
  await eventually(() => expect(heard).toEqual(['answered']));
  await eventually(async () => expect(await worker.isStalled(0)).toBe(false));
  await publish(['unanswered']);
  await eventually(() => expect(heard).toEqual(['answered', 'unanswered']));
  expect(await worker.isStalled(OPTIONS.ackWaitMs)).toBe(false);
  expect(await worker.isStalled(0)).toBe(true);
  await stop(worker);
});
