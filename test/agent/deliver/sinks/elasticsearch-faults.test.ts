/** An Elasticsearch that refuses, puts off, answers badly or not at all: nothing is lost, and nothing counts as stored that is not. */
import { expect, test } from 'vitest';
import type { DeliveryResult } from '../../../../agent/ports.ts';
import { DELIVERED } from '../../../support/delivery.ts';
import { ids, openElasticsearchSink, records, send } from '../../../support/elasticsearch-sink.ts';
import { startElasticsearch, type ElasticsearchFault } from '../../../support/elasticsearch.ts';

test('a refused document is poison with type, status and field, never with its value', async () => {
  await using server = await startElasticsearch({
    refuses: (document) =>
      (document['sealtrail'] as { resource: { id: string } }).resource.id === 'c-7'
        ? "[1:99] failed to parse field [sealtrail.resource.id] of type [long] in document with id 'x'. Preview of field's value: 'c-7'"
        : (document['sealtrail'] as { resource: { id: string } }).resource.id === 'c-9'
          ? 'c-9 is not [what] it [should] be'
          : null,
  });
  await using sink = openElasticsearchSink([server.url]);
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
  await using sink = openElasticsearchSink([server.url]);
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
  await using sink = openElasticsearchSink([server.url]);
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
  await using sink = openElasticsearchSink([server.url]);
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
  await using sink = openElasticsearchSink([server.url], { timeout_ms });
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
  await using sink = openElasticsearchSink([server.url]);
  expect(await send(sink)).toMatchObject({ kind: 'too_large' });
  expect(await send(sink, records.slice(0, 2))).toEqual(DELIVERED);
});

test('a sink that is being stopped lets go of a server that does not answer', async () => {
  await using server = await startElasticsearch({ fault: () => ({ kind: 'silence' }) });
  await using sink = openElasticsearchSink([server.url], { timeout_ms: 60_000 });
  const stopping = new AbortController();
  const sending = send(sink, records, stopping.signal);
  stopping.abort();
  expect(await sending).toMatchObject({ kind: 'failed' });
});
