/**
 * Bad input against the real agent: each kind gets its own typed refusal, which names the field and
 * what to do, is counted, and costs nobody else anything. What may follow from a frame is in
 * schemas/wire.ts, from an event in schemas/refusal.ts.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FrameType } from '../../schemas/wire.ts';
import { encodeFrame } from '../../schemas/wire-codec.ts';
import { runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { BAD_EVENTS } from '../support/bad-events.ts';
import { makeEvent } from '../support/events.ts';
import { quantile, startGoodClient, type GoodClient } from '../support/good-client.ts';
import { countNacks } from '../support/nacks.ts';
import { readRecords } from '../support/outcome.ts';
import { batchFrame, connectRaw, helloFrame, type RawClient } from '../support/raw-client.ts';

let agent: AgentProcess;
let good: GoodClient;

beforeAll(async () => {
  agent = await startAgentProcess({
    exporters: { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
  });
  good = await startGoodClient(agent);
});

afterAll(async () => {
  await good.reached(100);
  const { acked, failed, reconnects } = await good.stop();
  const verified = await runCli(['verify', agent.dir, '--json']);
  const records = await readRecords(join(agent.dir, 'ledger'));
  await agent[Symbol.asyncDispose]();
  expect({ failed, reconnects }, 'nobody else noticed').toEqual({ failed: [], reconnects: 0 });
  expect(acked.length).toBeGreaterThan(100);
  const ids = records.map(({ event }) => event.event_id);
  expect(ids).toEqual(expect.arrayContaining(acked.map(({ event_id }) => event_id)));
  expect(new Set(ids).size, 'nothing is there twice').toBe(ids.length);
  // A number that was refused is no gap.
  expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'intact', gaps: [] });
});

function frameOf(bytes: number, type: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(bytes);
  header[4] = type;
  return Buffer.concat([header, payload]);
}

describe('a client that breaks the protocol is told why, is cut off and is counted', () => {
  const line = JSON.stringify(makeEvent());
  const batch = (lines: readonly string[], header: object = { batch: 1, first_seq: 0 }): Buffer =>
    batchFrame(lines, header);

  test.each<[name: string, afterHello: boolean, bytes: () => Uint8Array, message: RegExp]>([
    ['a frame of length 0', false, () => frameOf(0, 1), /frame of 0 bytes; the limit is \d+/],
    ['a frame of 4 GiB', false, () => frameOf(0xffffffff, 1), /send smaller batches/],
    ['a frame of 4 GiB after HELLO', true, () => frameOf(0xffffffff, 2), /the limit is \d+/],
    ['an unknown frame type', false, () => frameOf(10, 77), /type 77 is unknown.*version 1/],
    ['HTTP', false, () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /the limit is \d+/],
    ['binary', false, () => Buffer.concat([Buffer.from([0xde]), randomBytes(4096)]), /limit/],
    ['BATCH before HELLO', false, () => batch([line]), /the first frame must be HELLO/],
    ['HELLO twice', true, () => helloFrame(), /type 1 is not expected from a client/],
    ['an ACK', true, () => encodeFrame(FrameType.ack, '{}'), /type 3 is not expected/],
    ['HELLO in no JSON', false, () => encodeFrame(FrameType.hello, '{"a'), /no JSON object/],
    ['HELLO in binary', false, () => encodeFrame(FrameType.hello, randomBytes(64)), /no JSON/],
    [
      'HELLO of the future',
      false,
      () => helloFrame({ version: 2 }),
      /version 1.*upgrade the agent/,
    ],
    ['HELLO without producer', false, () => helloFrame({ producer: 'me' }), /`producer`, a ULID/],
    ['HELLO without service', false, () => helloFrame({ service: '' }), /`service`, a name/],
    ['BATCH without header', true, () => encodeFrame(FrameType.batch, line), /a header line/],
    ['a header that is no JSON', true, () => encodeFrame(FrameType.batch, 'x\n'), /no JSON object/],
    ['a header without a number', true, () => batch([line], { batch: 1 }), /`first_seq`, a prod/],
    [
      'a number beyond 2^53',
      true,
      () => batch([line], { batch: 1, first_seq: 2 ** 53 }),
      /first_seq/,
    ],
    [
      'a last line without its end',
      true,
      () => encodeFrame(FrameType.batch, `{"batch":1,"first_seq":0}\n${line}`),
      /must end with a newline/,
    ],
    [
      'more events than a batch holds',
      true,
      () => batch(Array(4097).fill('{}')),
      /the limit is 4096/,
    ],
  ])('%s', async (_, afterHello, bytes, message) => {
    const refusedSince = await countNacks(agent);
    using client = await connectRaw(agent.socketPath);
    if (afterHello) await client.greet();
    client.send(bytes());
    const answer = await client.next();
    expect(answer).toEqual({
      type: FrameType.error,
      value: expect.objectContaining({
        kind: 'protocol_error',
        message: expect.stringMatching(message),
      }),
    });
    expect(await client.next(), 'the connection ends').toBeNull();
    expect(await refusedSince()).toEqual({ protocol_error: 1 });
  });
});

describe('a bad event is refused by itself, with the field and what to do; its neighbours get in', () => {
  let client: RawClient;
  let seq = 0;
  beforeAll(async () => {
    client = await connectRaw(agent.socketPath);
    await client.greet();
  });
  afterAll(() => client[Symbol.dispose]());

  test.each(BAD_EVENTS)('%s', async (_, line, kind, field, message) => {
    const refusedSince = await countNacks(agent);
    const neighbours = [makeEvent(), makeEvent()];
    const [first, last] = neighbours.map((event) => JSON.stringify(event));
    const ack = await client.batch([first!, line(), last!], seq);
    seq += 3;
    expect(ack.rejected).toEqual([
      {
        index: 1,
        kind,
        message: expect.stringMatching(message),
        ...(field === undefined ? {} : { field }),
      },
    ]);
    expect(ack.receipts.map((receipt) => receipt !== null)).toEqual([true, false, true]);
    expect(await refusedSince()).toEqual({ [kind]: 1 });
  });
});

test('clients that say nothing, or say it very slowly, keep nobody else waiting', async () => {
  const medianMs = async (): Promise<number> => {
    const client = await startGoodClient(agent, { inFlight: 8 });
    await client.reached(200);
    const { latenciesMs, failed } = await client.stop();
    expect(failed).toEqual([]);
    return quantile(latenciesMs, 0.5);
  };
  const usualMs = await medianMs();
  const silent = await Promise.all(Array.from({ length: 40 }, () => connectRaw(agent.socketPath)));
  const [slow] = silent;
  // Half a header; a HELLO whose rest never comes; a frame that was promised to be large.
  for (const client of silent.slice(1, 20)) client.send(Buffer.from([0, 0]));
  for (const client of silent.slice(20)) client.send(frameOf(4_000_000, 1));
  const letters = helloFrame();
  for (const letter of letters) {
    slow!.send(Uint8Array.of(letter));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await slow!.next(), 'however slow, it was right').toMatchObject({ type: FrameType.hello });

  expect(await medianMs()).toBeLessThan(usualMs * 3 + 200);
  for (const one of silent) one[Symbol.dispose]();
});

test('a client that leaves in the middle of a frame leaves nothing behind', async () => {
  const refusedSince = await countNacks(agent);
  const line = JSON.stringify(makeEvent());
  const frame = batchFrame([line], { batch: 1, first_seq: 0 });
  for (const length of [1, 4, 5, 40, frame.length - 1]) {
    using client = await connectRaw(agent.socketPath);
    await client.greet();
    client.send(frame.subarray(0, length));
  }
  using client = await connectRaw(agent.socketPath);
  await client.greet();
  expect((await client.batch([line], 0)).rejected).toEqual([]);
  const ledger = await readRecords(join(agent.dir, 'ledger'));
  const { event_id } = JSON.parse(line) as { event_id: string };
  expect(ledger.filter(({ event }) => event.event_id === event_id)).toHaveLength(1);
  expect(await refusedSince()).toEqual({});
});
