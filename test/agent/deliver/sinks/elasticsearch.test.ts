import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documentFormat } from '../../../../agent/deliver/documents.ts';
import { createElasticsearchSink } from '../../../../agent/deliver/sinks/elasticsearch.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../../../agent/ports.ts';
import type { ElasticsearchExporterConfig } from '../../../../schemas/exporter-config.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { startElasticsearch, type ElasticsearchFault } from '../../../support/elasticsearch.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { createSealer } from '../../../store/sealed.ts';

const vocabulary = { version: 1, actions: new Map() } as const;
const sealer = createSealer();
const records: readonly DeliveryRecord[] = Array.from({ length: 20 }, (_, number) => ({
  ...sealer.seal({ metadata: { note: 'größer "\n' }, resourceId: `c-${number}` }),
  number,
}));
const ids = records.map(({ event }) => `acme:${event.event_id}`);
const DELIVERED = { kind: 'delivered', retry: [], poison: [] };
const NOW_MS = Date.parse('2026-03-01T10:00:00Z');

function open(
  endpoints: readonly string[],
  over: Partial<ElasticsearchExporterConfig> = {},
): Sink & AsyncDisposable {
  const config: ElasticsearchExporterConfig = {
    name: 'elasticsearch',
    type: 'elasticsearch',
    endpoints,
    data_stream: 'logs-sealtrail.audit-default',
    format: 'ecs',
    gzip: true,
    batch_records_max: 1_000,
    batch_bytes_max: 1 << 22,
    timeout_ms: 30_000,
    retry: { initial_ms: 1, max_ms: 10, attempts_max: 0 },
    required: true,
    ...over,
  };
  const format = documentFormat(config.format, vocabulary, { name: 'test', version: '1.0.0' });
  const sink = createElasticsearchSink(config, format, () => NOW_MS);
  return { ...sink, [Symbol.asyncDispose]: () => sink.close() };
}

const send = (
  sink: Sink,
  batch = records,
  signal = new AbortController().signal,
): Promise<DeliveryResult> => sink.deliver(batch, signal);

test('documents arrive whole, under tenant and event_id, compressed, and a second time change nothing', async () => {
  await using server = await startElasticsearch();
  await using sink = open([server.url]);
  expect(await send(sink)).toEqual(DELIVERED);
  expect([...server.documents.keys()]).toEqual(ids);
  const [request] = server.requests;
  const plain = JSON.stringify([...server.documents.values()]).length;
  expect(request?.gzip).toBe(true);
  expect(request?.bytes).toBeLessThan(plain / 4);
  expect(server.documents.get(ids[0] ?? '')).toMatchObject({
    '@timestamp': records[0]?.event.event.time,
    event: { id: records[0]?.event.event_id },
    sealtrail: { metadata: { note: 'größer "\n' } },
  });

  const before = new Map(server.documents);
  expect(await send(sink)).toEqual(DELIVERED);
  expect(server.documents).toEqual(before);
  expect(server.violations).toEqual([]);
  expect(server.connections()).toBe(1);
});

test('an event_id counts once a tenant: nobody hides an event of another tenant by using its id first', async () => {
  await using server = await startElasticsearch();
  await using sink = open([server.url]);
  const event_id = '01K00000000000000000000000';
  const [theirs, ours, again] = ['globex', 'acme', 'acme'].map((tenant) => ({
    ...createSealer(undefined, tenant).seal({ event_id, actor: tenant }),
    number: 0,
  }));
  for (const record of [theirs, ours, again])
    expect(await send(sink, record === undefined ? [] : [record])).toEqual(DELIVERED);
  expect(
    [...server.documents.values()].map((document) => [document['organization'], document['event']]),
  ).toMatchObject([
    [{ id: 'globex' }, { id: event_id }],
    [{ id: 'acme' }, { id: event_id }],
  ]);
});

test('OCSF documents get the @timestamp that a data stream asks for', async () => {
  await using server = await startElasticsearch({ dataStream: 'logs-ocsf' });
  await using sink = open([server.url], { format: 'ocsf', data_stream: 'logs-ocsf', gzip: false });
  expect(await send(sink)).toEqual(DELIVERED);
  expect(server.requests[0]?.gzip).toBe(false);
  expect(server.documents.get(ids[3] ?? '')).toMatchObject({
    '@timestamp': records[3]?.event.event.time,
    class_uid: expect.any(Number),
    metadata: { uid: records[3]?.event.event_id },
  });
  expect(server.violations).toEqual([]);
});

test('API key and password are sent; without the right one the batch is tried again, not lost', async () => {
  await using server = await startElasticsearch({ authorization: 'ApiKey c2VjcmV0' });
  await using keyed = open([server.url], { api_key: 'c2VjcmV0' });
  expect(await send(keyed)).toEqual(DELIVERED);
  server.options.authorization = `Basic ${Buffer.from('audit:pä:ss').toString('base64')}`;
  await using basic = open([server.url], { username: 'audit', password: 'pä:ss' });
  expect(await send(basic)).toEqual(DELIVERED);
  expect(await send(keyed)).toEqual({
    kind: 'failed',
    reason: 'api_key or password is not accepted (401)',
  });
});

test('a refused document is poison with type, status and field, never with its value', async () => {
  await using server = await startElasticsearch({
    refuses: (document) =>
      (document['sealtrail'] as { resource: { id: string } }).resource.id === 'c-7'
        ? "[1:99] failed to parse field [sealtrail.resource.id] of type [long] in document with id 'x'. Preview of field's value: 'c-7'"
        : (document['sealtrail'] as { resource: { id: string } }).resource.id === 'c-9'
          ? 'c-9 is not [what] it [should] be'
          : null,
  });
  await using sink = open([server.url]);
  expect(await send(sink)).toEqual({
    kind: 'delivered',
    retry: [],
    poison: [
      { index: 7, reason: 'document_parsing_exception at sealtrail.resource.id (400)' },
      { index: 9, reason: 'document_parsing_exception (400)' },
    ],
  });
  expect(server.documents.size).toBe(18);
});

const partial = (status: number, type: string): ElasticsearchFault => ({
  kind: 'items',
  status,
  type,
  when: (id) => id === ids[2] || id === ids[5],
});

test.each([
  [429, 'es_rejected_execution_exception'],
  [503, 'unavailable_shards_exception'],
  [500, 'exception'],
  [403, 'security_exception'],
  [404, 'index_not_found_exception'],
])('items answered %i are sent again, the others are stored', async (status, type) => {
  await using server = await startElasticsearch({ fault: () => partial(status, type) });
  await using sink = open([server.url]);
  expect(await send(sink)).toEqual({
    kind: 'delivered',
    retry: [2, 5],
    poison: [],
    reason: `${type} (${status})`,
  });
  expect(server.documents.size).toBe(18);
  server.options.fault = () => null;
  expect(await send(sink, records.slice(2, 6))).toEqual(DELIVERED);
  expect(server.documents.size).toBe(20);
});

test('all items put off is a failure of the sink, with its reason', async () => {
  await using server = await startElasticsearch({
    fault: () => ({
      kind: 'items',
      status: 429,
      type: 'circuit_breaking_exception',
      when: () => true,
    }),
  });
  await using sink = open([server.url]);
  expect(await send(sink)).toEqual({ kind: 'failed', reason: 'circuit_breaking_exception (429)' });
});

const status = (
  of: number,
  more: { retryAfter?: string; location?: string } = {},
): ElasticsearchFault => ({
  kind: 'status',
  status: of,
  ...more,
});

test.each<[string, ElasticsearchFault, DeliveryResult]>([
  [
    '429 with seconds',
    status(429, { retryAfter: '17' }),
    { kind: 'failed', reason: 'asks to send less (429)', retryAfterMs: 17_000 },
  ],
  [
    '503 with a date',
    status(503, { retryAfter: 'Sun, 01 Mar 2026 10:00:30 GMT' }),
    { kind: 'failed', reason: 'answered 503', retryAfterMs: 30_000 },
  ],
  [
    '503 with nonsense',
    status(503, { retryAfter: 'soon' }),
    { kind: 'failed', reason: 'answered 503' },
  ],
  [
    '403',
    status(403),
    { kind: 'failed', reason: 'the user may not write to the data stream (403)' },
  ],
  [
    '404',
    status(404),
    { kind: 'failed', reason: 'there is no such data stream, and none is made by itself (404)' },
  ],
  ['400', status(400), { kind: 'failed', reason: 'answered 400' }],
  [
    'a redirect',
    status(307, { location: 'http://127.0.0.1:1/' }),
    { kind: 'failed', reason: 'answered with a redirect (307), which is not followed' },
  ],
  ['413', status(413), { kind: 'too_large', reason: 'too large for Elasticsearch (413)' }],
  ['204', status(204), { kind: 'failed', reason: 'answered 204' }],
])('%s is understood and confirms nothing', async (_, fault, expected) => {
  await using server = await startElasticsearch({ fault: () => fault });
  await using sink = open([server.url]);
  expect(await send(sink)).toEqual(expected);
  expect(server.documents.size).toBe(0);
});

test.each<[ElasticsearchFault['kind'], RegExp]>([
  ['truncate', /no _bulk answer/],
  ['page', /no _bulk answer/],
  ['missing_item', /speaks of 19 items, 20 were sent/],
  ['shuffle', /does not say what became of item 0/],
  ['reset', /127\.0\.0\.1:\d+: /],
  ['refuse', /127\.0\.0\.1:\d+: /],
  ['trickle', /timeout/],
  ['silence', /timeout/],
])('an answer that is not whole confirms nothing: %s', async (kind, reason) => {
  await using server = await startElasticsearch({ fault: () => ({ kind }) as ElasticsearchFault });
  const timeout_ms = kind === 'trickle' || kind === 'silence' ? 150 : 10_000;
  await using sink = open([server.url], { timeout_ms });
  const failed = await send(sink);
  expect(failed).toMatchObject({ kind: 'failed', reason: expect.stringMatching(reason) });
  for (const { event } of records) expect(JSON.stringify(failed)).not.toContain(event.event_id);
  server.options.fault = () => null;
  // With so short a time-out a busy machine may need more than one try.
  await expect.poll(() => send(sink)).toEqual(DELIVERED);
  expect(server.documents.size).toBe(20);
});

test('a body over the limit of the server is too large, before and after halving', async () => {
  await using server = await startElasticsearch({ contentBytesMax: 8_000 });
  await using sink = open([server.url]);
  expect(await send(sink)).toMatchObject({ kind: 'too_large' });
  expect(await send(sink, records.slice(0, 2))).toEqual(DELIVERED);
});

test('endpoints take turns; one that is down is passed over and comes back', async () => {
  await using first = await startElasticsearch();
  await using second = await startElasticsearch();
  await using sink = open([`${first.url}/`, `${second.url}/prefix`]);
  for (const record of records.slice(0, 4)) expect(await send(sink, [record])).toEqual(DELIVERED);
  expect([first.documents.size, second.documents.size]).toEqual([2, 2]);

  first.options.fault = () => ({ kind: 'refuse' });
  for (const record of records.slice(4, 8)) expect(await send(sink, [record])).toEqual(DELIVERED);
  expect([first.documents.size, second.documents.size]).toEqual([2, 6]);
  second.options.fault = () => ({ kind: 'refuse' });
  expect(await send(sink, records.slice(8, 9))).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/127\.0\.0\.1:\d+: .*; 127\.0\.0\.1:\d+: /),
  });
  first.options.fault = () => null;
  expect(await send(sink, records.slice(8, 9))).toEqual(DELIVERED);
  expect(first.documents.size).toBe(3);
});

test('TLS: the configured authority is trusted, any other is not, and renewed files are taken up', async () => {
  await using temp = await makeTempDir();
  const [ours, theirs] = [createAuthority(), createAuthority('another authority')];
  const server_cert = ours.issue('elasticsearch');
  const client = ours.issue('agent');
  await using server = await startElasticsearch({ tls: { ...server_cert, clientCa: ours.cert } });
  const ca_file = join(temp.path, 'ca.pem');
  const cert_file = join(temp.path, 'cert.pem');
  const key_file = join(temp.path, 'key.pem');
  await writeFile(ca_file, theirs.cert);
  await writeFile(cert_file, client.cert);
  await writeFile(key_file, client.key);
  const tls = { ca_file, cert_file, key_file, insecure_skip_verify: false };
  await using sink = open([server.url], { tls });
  expect(await send(sink)).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/certificate|CERT|SIGNATURE/),
  });
  await writeFile(ca_file, ours.cert);
  expect(await send(sink)).toEqual(DELIVERED);

  await using plain = open([server.url]);
  expect(await send(plain)).toMatchObject({ kind: 'failed' });
  await using anonymous = open([server.url], { tls: { ca_file, insecure_skip_verify: false } });
  expect(await send(anonymous)).toMatchObject({ kind: 'failed' });
  await using missing = open([server.url], {
    tls: { ...tls, ca_file: join(temp.path, 'none.pem') },
  });
  expect(await send(missing)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('none.pem'),
  });
  await using lax = open([server.url], {
    tls: { cert_file, key_file, insecure_skip_verify: true },
  });
  expect(await send(lax)).toEqual(DELIVERED);
});

test('a sink that is being stopped lets go of a server that does not answer', async () => {
  await using server = await startElasticsearch({ fault: () => ({ kind: 'silence' }) });
  await using sink = open([server.url], { timeout_ms: 60_000 });
  const stopping = new AbortController();
  const sending = send(sink, records, stopping.signal);
  stopping.abort();
  expect(await sending).toMatchObject({ kind: 'failed' });
});
