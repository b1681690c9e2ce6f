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

/** Event text with a member put in by hand, as no JSON library would write it. */
const spliced = (member: string): string =>
  JSON.stringify(makeEvent()).replace(/}$/, `,${member}}`);
const withMetadata = (json: string): string =>
  JSON.stringify(makeEvent({ metadata: { here: 0 } })).replace('{"here":0}', json);
const withField = (path: string, value: unknown): string => {
  const event = structuredClone(makeEvent()) as unknown as Record<string, Record<string, unknown>>;
  const [outer = '', inner] = path.split('.');
  if (inner === undefined) Object.assign(event, { [outer]: value });
  else Object.assign(event[outer]!, { [inner]: value });
  return JSON.stringify(event);
};

describe('a bad event is refused by itself, with the field and what to do; its neighbours get in', () => {
  let client: RawClient;
  let seq = 0;
  beforeAll(async () => {
    client = await connectRaw(agent.socketPath);
    await client.greet();
  });
  afterAll(() => client[Symbol.dispose]());

  test.each<
    [
      name: string,
      line: () => string | Uint8Array,
      kind: string,
      field: string | undefined,
      message: RegExp,
    ]
  >([
    [
      'oversized',
      () => withMetadata(JSON.stringify({ text: 'x'.repeat(70_000) })),
      'too_large',
      undefined,
      /65536 bytes; shorten \/metadata/,
    ],
    [
      'oversized in bytes, not in characters',
      () => withMetadata(JSON.stringify({ text: '日'.repeat(30_000) })),
      'too_large',
      undefined,
      /shorten/,
    ],
    [
      'truncated',
      () => JSON.stringify(makeEvent()).slice(0, -20),
      'malformed',
      undefined,
      /no valid JSON/,
    ],
    [
      'binary',
      () => randomBytes(200).map((byte) => (byte === 0x0a ? 0xff : byte)),
      'malformed',
      undefined,
      /not valid UTF-8|no valid JSON/,
    ],
    ['an empty line', () => '', 'malformed', undefined, /no valid JSON/],
    ['a list', () => '[1,2]', 'malformed', undefined, /one JSON object/],
    ['null', () => 'null', 'malformed', undefined, /one JSON object/],
    [
      'a tenant nobody declared',
      () => withField('resource.tenant_id', 'evil'),
      'unknown_tenant',
      '/resource/tenant_id',
      /declare it below `tenants`/,
    ],
    [
      "the agent's own tenant",
      () => withField('resource.tenant_id', 'sealtrail'),
      'unknown_tenant',
      '/resource/tenant_id',
      /declare/,
    ],
    [
      'a future schema version',
      () => withField('schema_version', '2.0'),
      'unsupported_version',
      '/schema_version',
      /upgrade the agent, or send 1.0/,
    ],
    [
      'a schema version that is none',
      () => withField('schema_version', 1),
      'schema_invalid',
      '/schema_version',
      /must be/,
    ],
    [
      '__proto__',
      () => spliced('"__proto__":{"admin":true}'),
      'forbidden_key',
      undefined,
      /__proto__; remove it/,
    ],
    [
      '__proto__ deep inside',
      () => withMetadata('{"a":[{"__proto__":1}]}'),
      'forbidden_key',
      '/metadata/a/0',
      /__proto__; rename it/,
    ],
    [
      '__proto__, escaped',
      () => withMetadata('{"\\u005f_proto__":1}'),
      'forbidden_key',
      '/metadata',
      /__proto__/,
    ],
    [
      'a duplicate key',
      () => spliced('"actor":{"type":"user","id":"x","name":"x","on_behalf_of":null}'),
      'duplicate_key',
      undefined,
      /occurs twice.*send it once/,
    ],
    [
      'a duplicate key, escaped',
      () => withMetadata('{"a":1,"\\u0061":2}'),
      'duplicate_key',
      undefined,
      /occurs twice/,
    ],
    [
      'a lone surrogate',
      () => withMetadata('{"name":"\\ud800"}'),
      'unsafe_json',
      '/metadata/name',
      /lone surrogate; send well-formed/,
    ],
    [
      'a lone surrogate in a name',
      () => withMetadata('{"\\udc00":1}'),
      'unsafe_json',
      '/metadata',
      /lone surrogate/,
    ],
    [
      'a lone surrogate outside of metadata',
      () => withField('actor.name', 'a\ud800'),
      'unsafe_json',
      '/actor/name',
      /lone surrogate/,
    ],
    [
      'U+0000',
      () => withMetadata('{"name":"a\\u0000"}'),
      'unsafe_json',
      '/metadata/name',
      /U\+0000; remove it/,
    ],
    [
      '17 levels',
      () => withMetadata(`{"a":${'['.repeat(16)}${']'.repeat(16)}}`),
      'unsafe_json',
      `/metadata/a${'/0'.repeat(14)}`,
      /deeper than 16 levels; flatten/,
    ],
    [
      'a depth bomb',
      () => withMetadata(`{"a":${'['.repeat(32_000)}${']'.repeat(32_000)}}`),
      'unsafe_json',
      `/metadata/a${'/0'.repeat(14)}`,
      /deeper than 16/,
    ],
    [
      'an integer beyond 2^53',
      () => withMetadata('{"n":9007199254740993}'),
      'unsafe_json',
      '/metadata/n',
      /send it as a string/,
    ],
    [
      'a number beyond double',
      () => withMetadata('{"n":1e999}'),
      'unsafe_json',
      '/metadata/n',
      /finite|send it as a string/,
    ],
    [
      'a vocabulary miss',
      () => withField('event.action', 'customer.exprot'),
      'unknown_action',
      '/event/action',
      /not in the vocabulary; declare/,
    ],
    [
      "one of the agent's own actions",
      () => withField('event.action', 'ledger.genesis'),
      'unknown_action',
      '/event/action',
      /vocabulary/,
    ],
    [
      "a category that is not the action's",
      () => withField('event.category', 'authentication'),
      'schema_invalid',
      '/event/category',
      /must be data_access/,
    ],
    [
      'no actor',
      () => withField('actor', undefined),
      'schema_invalid',
      '/actor',
      /\/actor is missing/,
    ],
    [
      'an outcome of its own',
      () => withField('event.outcome', 'maybe'),
      'schema_invalid',
      '/event/outcome',
      /must be one of.*denied/,
    ],
    [
      'an event_id that is no ULID',
      () => withField('event_id', '42'),
      'schema_invalid',
      '/event_id',
      /pattern/,
    ],
    [
      'February 30th',
      () => withField('event.time', '2026-02-30T00:00:00.000Z'),
      'schema_invalid',
      '/event/time',
      /no date/,
    ],
    [
      'a chain of its own',
      () => withField('chain', { seq: 7 }),
      'schema_invalid',
      '/chain',
      /put free fields below \/metadata/,
    ],
    [
      'an origin of its own',
      () => withField('origin', { signal: 'audit', record_id: 'x' }),
      'schema_invalid',
      '/origin',
      /set by the agent; remove it/,
    ],
  ])('%s', async (_, line, kind, field, message) => {
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

  const client = await startGoodClient(agent, { inFlight: 8 });
  await client.reached(200);
  const { latenciesMs, failed } = await client.stop();
  expect(failed).toEqual([]);
  expect(quantile(latenciesMs, 0.5)).toBeLessThan(250);
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
