/** Bad input by OTLP/HTTP against the real agent; the counterpart of bad-input.test.ts. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { startStopwatch } from '../support/eventually.ts';
import { startGoodClient, type GoodClient } from '../support/good-client.ts';
import { countNacks } from '../support/nacks.ts';
import { logRecord, logsRequest } from '../support/otlp.ts';
import { randomBytes, randomUUID } from 'node:crypto';

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
  await agent[Symbol.asyncDispose]();
  expect({ failed, reconnects }, 'nobody else noticed').toEqual({ failed: [], reconnects: 0 });
  expect(acked.length).toBeGreaterThan(100);
});

const JSON_TYPE = { 'Content-Type': 'application/json' };
const PROTO_TYPE = { 'Content-Type': 'application/x-protobuf' };
type Headers = Readonly<Record<string, string>>;

async function post(
  path: string,
  body: string | Uint8Array,
  headers: Headers = JSON_TYPE,
): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(agent.otlpUrl + path, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : Buffer.from(body),
  });
  return { status: answer.status, text: await answer.text() };
}

const requestOf = (...records: object[]): string => JSON.stringify(logsRequest(records));
const recordOf = (changed: Record<string, unknown> = {}): object =>
  logRecord({ attributes: { 'audit.record.id': randomUUID(), ...changed } });

describe('a request that is none is refused as a whole, with what to do, and counted', () => {
  test.each<
    [
      name: string,
      path: string,
      body: () => string | Uint8Array,
      headers: Headers,
      status: number,
      kind: string,
      message: RegExp,
    ]
  >([
    [
      'no such path',
      '/v1/traces',
      () => '{}',
      JSON_TYPE,
      404,
      'not_found',
      /send to \/v1\/logs or \/v1\/audit/,
    ],
    [
      'another media type',
      '/v1/logs',
      () => 'a=b',
      { 'Content-Type': 'text/plain' },
      415,
      'unsupported_media_type',
      /application\/x-protobuf or application\/json/,
    ],
    [
      'another compression',
      '/v1/logs',
      () => '{}',
      { ...JSON_TYPE, 'Content-Encoding': 'br' },
      415,
      'unsupported_encoding',
      /gzip or identity/,
    ],
    [
      'truncated JSON',
      '/v1/logs',
      () => requestOf(recordOf()).slice(0, -9),
      JSON_TYPE,
      400,
      'malformed',
      /JSON/,
    ],
    ['JSON that is a list', '/v1/audit', () => '[]', JSON_TYPE, 400, 'malformed', /./],
    [
      'binary as protobuf',
      '/v1/logs',
      () => Buffer.concat([Buffer.from([0xff]), randomBytes(500)]),
      PROTO_TYPE,
      400,
      'malformed',
      /./,
    ],
    [
      'what is not gzip',
      '/v1/logs',
      () => '{}',
      { ...JSON_TYPE, 'Content-Encoding': 'gzip' },
      400,
      'malformed',
      /not gzip/,
    ],
    [
      'a gzip bomb',
      '/v1/logs',
      () => gzipSync(Buffer.alloc(64 << 20)),
      { ...JSON_TYPE, 'Content-Encoding': 'gzip' },
      413,
      'too_large',
      /send smaller batches/,
    ],
    [
      'oversized',
      '/v1/audit',
      () => ' '.repeat((16 << 20) + 1),
      JSON_TYPE,
      413,
      'too_large',
      /send smaller batches/,
    ],
    ['no record at all', '/v1/audit', () => requestOf(), JSON_TYPE, 400, 'malformed', /no record/],
    [
      'a web page',
      '/v1/logs',
      () => '{}',
      { ...JSON_TYPE, Origin: 'http://evil.example' },
      403,
      'unauthorized',
      /web pages/,
    ],
  ])('%s', async (_, path, body, headers, status, kind, message) => {
    const refusedSince = await countNacks(agent);
    const answer = await post(path, body(), headers);
    expect(answer).toEqual({ status, text: expect.stringMatching(message) });
    expect(await refusedSince()).toEqual({ [kind]: 1 });
  });
});

const deep = (levels: number): object =>
  levels === 0 ? { stringValue: 'x' } : { arrayValue: { values: [deep(levels - 1)] } };

describe('a bad record is refused by itself on /v1/logs, and refuses its batch on /v1/audit', () => {
  test.each<[name: string, record: () => object, kind: string, audit: number, message: RegExp]>([
    [
      'no record id',
      () => recordOf({ 'audit.record.id': null }),
      'schema_invalid',
      400,
      /audit\.record\.id/,
    ],
    [
      'no actor',
      () => recordOf({ 'audit.actor.id': null }),
      'schema_invalid',
      400,
      /audit\.actor\.id/,
    ],
    [
      'an actor type of its own',
      () => recordOf({ 'audit.actor.type': 'alien' }),
      'schema_invalid',
      400,
      /audit\.actor\.type must be one of/,
    ],
    [
      'an outcome of its own',
      () => recordOf({ 'audit.outcome': 'maybe' }),
      'schema_invalid',
      400,
      /audit\.outcome must be success/,
    ],
    [
      'a tenant nobody declared',
      () => recordOf({ 'sealtrail.tenant_id': 'evil' }),
      'unknown_tenant',
      403,
      /declare it below `tenants`/,
    ],
    [
      'a vocabulary miss',
      () =>
        logRecord({
          eventName: 'no.such',
          attributes: { 'audit.record.id': randomUUID(), 'audit.action': 'no.such' },
        }),
      'unknown_action',
      400,
      /vocabulary; declare it there/,
    ],
    [
      'an attribute named __proto__',
      () => recordOf({ ['__proto__x'.slice(0, 9)]: 'x' }),
      'forbidden_key',
      400,
      /__proto__/,
    ],
    ['a lone surrogate', () => recordOf({ note: 'a\ud800' }), 'unsafe_json', 400, /surrogate/],
    ['U+0000', () => recordOf({ note: 'a\u0000' }), 'unsafe_json', 400, /U\+0000/],
    ['a depth bomb', () => recordOf({ note: deep(40) }), 'unsafe_json', 400, /deep/],
    ['oversized', () => recordOf({ note: 'x'.repeat(70_000) }), 'too_large', 413, /65536 bytes/],
  ])('%s', async (_, record, kind, audit, message) => {
    const refusedSince = await countNacks(agent);
    const bad = record();
    const logs = await post('/v1/logs', requestOf(recordOf(), bad, recordOf()));
    expect(logs.status).toBe(200);
    expect(JSON.parse(logs.text)).toEqual({
      partialSuccess: { rejectedLogRecords: '1', errorMessage: expect.stringMatching(message) },
    });
    expect(logs.text).toContain(`record 1: ${kind}`);

    const whole = await post('/v1/audit', requestOf(recordOf(), bad));
    expect(whole.status).toBe(audit);
    expect(whole.text).toMatch(message);
    expect(whole.text).toContain('nothing of this batch was stored');
    expect(await refusedSince()).toEqual({ [kind]: 2 });
  });

  test('the id of another record', async () => {
    const refusedSince = await countNacks(agent);
    const id = randomUUID();
    const request = (target: string): string =>
      requestOf(recordOf({ 'audit.record.id': id, 'audit.target.id': target }));
    expect((await post('/v1/audit', request('a'))).status).toBe(202);
    expect((await post('/v1/audit', request('a'))).status).toBe(202);
    const changed = await post('/v1/audit', request('b'));
    expect(changed).toEqual({ status: 409, text: expect.stringContaining('use a new id') });
    expect(await refusedSince()).toEqual({ id_conflict: 1 });
  });
});

test('clients that send their request very slowly, or half of it, keep nobody else waiting', async () => {
  const { port } = new URL(agent.otlpUrl);
  const sockets = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const socket = connect(Number(port), '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }),
  );
  for (const socket of sockets.slice(0, 20)) socket.write('POST /v1/logs HT');
  for (const socket of sockets.slice(20))
    socket.write(
      'POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"res',
    );
  const elapsedMs = startStopwatch();
  for (let n = 0; n < 20; n++)
    expect((await post('/v1/audit', requestOf(recordOf()))).status).toBe(202);
  expect(elapsedMs()).toBeLessThan(5_000);
  const refusedSince = await countNacks(agent);
  for (const socket of sockets) socket.destroy();
  await expect.poll(refusedSince).toMatchObject({ aborted: 20 });
});

test('bytes that are no HTTP get a 400, and are counted', async () => {
  const refusedSince = await countNacks(agent);
  const { port } = new URL(agent.otlpUrl);
  const socket = connect(Number(port), '127.0.0.1');
  socket.setEncoding('latin1');
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  socket.end(randomBytes(2000));
  await once(socket, 'close');
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(await refusedSince()).toEqual({ protocol_error: 1 });
});
