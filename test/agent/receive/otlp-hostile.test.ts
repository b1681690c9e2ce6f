/** Hostile OTLP clients: what a request costs is in proportion to its bytes, and others pay nothing. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import protobuf from 'protobufjs/minimal.js';
import { describe, expect, test } from 'vitest';
import { createBodyBudget } from '../../../agent/receive/otlp-body.ts';
import { decodeJsonRequest, parseLogsRequest } from '../../../agent/receive/otlp-parse.ts';
import { decodeLogsRequest } from '../../../agent/receive/otlp-protobuf.ts';
import { until } from '../../support/agent-peer.ts';
import { eventually } from '../../support/eventually.ts';
import { logRecord, logsRequest, startReceiver, type TestReceiver } from '../../support/otlp.ts';
import { cpuMs } from '../../support/cpu.ts';

const records = (count: number): object[] =>
  Array.from({ length: count }, (_, n) =>
    logRecord({ attributes: { 'audit.record.id': `r-${n}` } }),
  );
const large = { config: { body_bytes_max: 4 << 20 } };

async function open({ port }: TestReceiver): Promise<{ socket: Socket; text(): string }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  let text = '';
  socket.on('data', (bytes) => (text += bytes.toString('latin1')));
  await once(socket, 'connect');
  return { socket, text: () => text };
}

describe('a resource is read once, however many records it has', () => {
  test.each<[name: string, resource: Record<string, string>, status: RegExp]>([
    [
      'of very many attributes',
      Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`a${n}`, ''])),
      /^\{\}$/,
    ],
    [
      'with a very long service name',
      { 'service.name': 's'.repeat(3_000_000) },
      /service.name may take/,
    ],
    ['with a very long tenant', { 'tenant.id': 't'.repeat(3_000_000) }, /tenant.id may take/],
    [
      'with a very long certificate',
      { 'audit.integrity.certificate': 'A'.repeat(3_000_000) },
      /certificate may take/,
    ],
    ['with a very long host name', { 'host.name': 'h'.repeat(50_000) }, /host.name.* may take/],
  ])('%s', async (_, resource, answer) => {
    await using receiver = await startReceiver(large);
    const tookMs = cpuMs();
    const response = await receiver.post('/v1/logs', logsRequest(records(600), resource));
    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(answer);
    // Read for each record again, each of these took five seconds and more.
    expect(tookMs()).toBeLessThan(2_500);
  });
});

test('a request that would become more than one commit takes is refused whole, before all of it is in memory', async () => {
  let appended = 0;
  await using receiver = await startReceiver({
    config: { body_bytes_max: 32 << 20 },
    wrap: (appender) => ({
      ...appender,
      append: (request) => ((appended += 1), appender.append(request)),
    }),
  });
  const many = Array.from({ length: 400 }, (_, n) =>
    logRecord({ attributes: { 'audit.record.id': `r-${n}`, note: 'x'.repeat(50_000) } }),
  );
  for (const path of ['/v1/logs', '/v1/audit']) {
    const response = await receiver.post(path, logsRequest(many));
    expect(response.status).toBe(413);
    expect(await response.text()).toContain('send it in parts');
  }
  expect(appended).toBe(0);
  expect((await receiver.post('/v1/logs', logsRequest(many.slice(0, 100)))).status).toBe(200);
});

test('inflated bytes count while they are inflated: a bomb is refused, and what it held is free again', async () => {
  await using receiver = await startReceiver();
  const gzip = { 'Content-Encoding': 'gzip' };
  const bomb = gzipSync(Buffer.alloc(64 << 20, ' '));
  const bombs = Array.from({ length: 40 }, () => receiver.post('/v1/logs', bomb, gzip));
  for (const response of await Promise.all(bombs)) expect([413, 429]).toContain(response.status);
  const good = gzipSync(JSON.stringify(logsRequest(records(1))));
  expect((await receiver.post('/v1/logs', good, gzip)).status).toBe(200);
  // Two members one after the other are one gzip; half of one is none.
  const text = JSON.stringify(logsRequest(records(2)));
  const halves = [text.slice(0, 99), text.slice(99)].map((half) => gzipSync(half));
  expect((await receiver.post('/v1/logs', Buffer.concat(halves), gzip)).status).toBe(200);
  expect((await receiver.post('/v1/logs', good.subarray(0, -9), gzip)).status).toBe(400);
});

test('a budget gives back what a request held, and nothing that it did not', () => {
  const budget = createBodyBudget(100);
  const [one, other] = [budget.lease(), budget.lease()];
  expect(one.take(60)).toBe(true);
  expect(other.take(60)).toBe(false);
  expect(other.take(40)).toBe(true);
  one.release();
  one.release();
  expect(other.take(60)).toBe(true);
  expect(budget.lease().take(1)).toBe(false);
});

test('a body that comes in byte by byte costs its bytes', async () => {
  await using receiver = await startReceiver();
  const { socket, text } = await open(receiver);
  const body = JSON.stringify(logsRequest(records(1)));
  socket.write(
    'POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  socket.write([...body].map((byte) => `1\r\n${byte}\r\n`).join('') + '0\r\n\r\n');
  await eventually(() => expect(text()).toMatch(/^HTTP\/1\.1 200 /));
  socket.destroy();
});

test('pipelined requests are answered in order, and only so many are under way', async () => {
  let underWay = 0;
  let most = 0;
  let release = (): void => undefined;
  const gate = new Promise<void>((go) => (release = go));
  await using receiver = await startReceiver({
    queueEventsMax: 100_000,
    wrap: (appender) => ({
      ...appender,
      append: async (request) => {
        most = Math.max(most, ++underWay);
        await gate;
        underWay -= 1;
        return appender.append(request);
      },
    }),
  });
  const request = (id: string): string => {
    const body = JSON.stringify(
      logsRequest([logRecord({ attributes: { 'audit.record.id': id } })]),
    );
    const head = `POST /v1/audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
    return `${head}\r\n\r\n${body}`;
  };
  const { socket, text } = await open(receiver);
  for (let n = 0; n < 3_000; n++) socket.write(request(`r-${n}.`));
  await eventually(() => expect(most).toBe(1024));
  release();
  await eventually(() => expect(text()).toContain('"record_id":"r-1023."'));
  const ids = [...text().matchAll(/"record_id":"r-([0-9]+)\."/g)].map(([, n]) => Number(n));
  expect(ids).toEqual([...ids].sort((a, b) => a - b));
  expect(most).toBe(1024);
  // A client that goes away in the middle leaves no trace of its own in the count.
  socket.destroy();
  // What it had sent is still being let go.
  await eventually(async () => {
    const { socket: other, text: answer } = await open(receiver);
    for (let n = 0; n < 200; n++) other.write(request(`s-${n}.`));
    await until(() => /"record_id":"s-199\."|HTTP\/1\.1 429/.test(answer()), 'the last answer');
    other.destroy();
    expect(answer()).not.toContain('HTTP/1.1 429');
  });
});

test('other methods, paths and expectations are answered, and the connection lives on', async () => {
  await using receiver = await startReceiver();
  const { socket, text } = await open(receiver);
  const statuses = (): string[] =>
    [...text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, s]) => s ?? '');
  const head = (line: string): string => `${line} HTTP/1.1\r\nHost: x\r\n\r\n`;
  socket.write(head('GET /v1/logs') + head('HEAD /v1/logs') + head('OPTIONS /v1/audit'));
  socket.write(head('GET /'));
  await eventually(() => expect(statuses()).toEqual(['405', '405', '405', '404']));
  const body = JSON.stringify(logsRequest(records(1)));
  const expecting = (length: number): string =>
    `POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
  socket.write(expecting(body.length));
  await eventually(() => expect(statuses().at(-1)).toBe('100'));
  socket.write(body);
  await eventually(() => expect(statuses().at(-1)).toBe('200'));
  // Too large: told so before it is sent.
  socket.write(expecting(1 << 30));
  await eventually(() => expect(statuses().at(-1)).toBe('413'));
  socket.destroy();
});

describe('whatever the bytes are, decoding ends in a request or a refusal', () => {
  const decode = (bytes: Uint8Array): string => {
    const decoded = decodeLogsRequest(bytes);
    const parsed = decoded.ok ? parseLogsRequest(decoded.value) : decoded;
    return parsed.ok ? 'ok' : parsed.error.kind;
  };
  /** A field of the outermost message with these bytes in it. */
  const wrap = (field: number, bytes: Uint8Array): Uint8Array =>
    protobuf.Writer.create()
      .uint32((field << 3) | 2)
      .bytes(bytes)
      .finish();

  test('random bytes, and protobuf with bytes changed', () => {
    const whole = wrap(
      1,
      wrap(2, wrap(2, wrap(6, Buffer.from('\n\u0003key\u0012\u0003\n\u0001x')))),
    );
    expect(decode(whole)).toBe('ok');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(255)), (noise, changes) => {
        expect(['ok', 'malformed', 'too_large']).toContain(decode(noise));
        const bytes = Buffer.from(whole);
        changes.forEach((byte, n) => (bytes[(byte * 7 + n) % bytes.length] = byte));
        expect(['ok', 'malformed', 'too_large']).toContain(decode(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each<[name: string, bytes: Uint8Array, outcome: string]>([
    ['a group that never ends', Buffer.alloc(100_000, (15 << 3) | 3), 'malformed'],
    ['a group that ends another', Buffer.from([(15 << 3) | 3, (14 << 3) | 4]), 'malformed'],
    ['a whole group of an unknown field', Buffer.from([0x7b, 0x7c]), 'ok'],
    ['a varint without end', Buffer.alloc(20, 0xff), 'malformed'],
    ['a length beyond the body', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), 'malformed'],
    ['a length of 2^64-1', Buffer.from([0x0a, ...Array<number>(9).fill(0xff), 1]), 'malformed'],
    ['field number 0', Buffer.from([0x02, 0x00]), 'malformed'],
    ['wire types 6 and 7', Buffer.from([0x7e, 0x7f]), 'malformed'],
    ['a million empty resources', Buffer.alloc(2_000_000, Buffer.from([0x0a, 0x00])), 'too_large'],
  ])('%s', (_, bytes, outcome) => {
    expect(decode(bytes)).toBe(outcome);
  });

  test('values nested without end, in both encodings', () => {
    let value: Uint8Array = Buffer.alloc(0);
    // AnyValue.arrayValue (5), ArrayValue.values (1), …
    for (let level = 0; level < 3_000; level++) value = wrap(5, wrap(1, value));
    const bomb = wrap(1, wrap(2, wrap(2, wrap(5, value))));
    const decoded = decodeLogsRequest(bomb);
    const parsed = decoded.ok ? parseLogsRequest(decoded.value) : decoded;
    expect(parsed.ok && parsed.value[0]?.record).toMatchObject({
      ok: false,
      error: { kind: 'unsafe_json' },
    });
    for (const text of ['['.repeat(2_000_000), '{"a":'.repeat(400_000)])
      expect(decodeJsonRequest(Buffer.from(text))).toMatchObject({ ok: false });
    const deep = `${'{"resourceLogs":['.repeat(100_000)}${']}'.repeat(100_000)}`;
    const json = decodeJsonRequest(Buffer.from(deep));
    expect(json.ok && parseLogsRequest(json.value).ok).toBeDefined();
  });
});
