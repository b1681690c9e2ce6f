/** Traces and logs from servers: what they have, what they lack, and what they say when they cannot. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openElasticsearch } from '../../../auditor/join/elasticsearch.ts';
import type { TraceSource } from '../../../auditor/join/source.ts';
import { openTraceFile } from '../../../auditor/join/trace-files.ts';
import { openJaeger, openTempo } from '../../../auditor/join/trace-servers.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { startJaeger, startLogIndex, startTempo } from '../../support/trace-servers.ts';
import { span, toOtlp, TRACE } from './spans.ts';

/** With a leading zero, which Jaeger and Tempo's search leave out. */
const OTHER = `0${'b'.repeat(31)}`;
const SPANS = [
  span('handler', 0, 200, { isServer: true, attributes: { 'user.id': 'u-7' } }),
  span('upload', 20, 190, { parent: 'handler', service: 'files' }),
  span('elsewhere', 10, 20, { traceId: OTHER, attributes: { 'enduser.id': 'u-8' } }),
];

async function expectSpans(source: TraceSource): Promise<void> {
  const found = await source.find(new Set([TRACE]));
  expect(
    found.ok && found.value.spans.map(({ links: _, attributes: __, ...rest }) => rest),
  ).toEqual(SPANS.slice(0, 2).map(({ links: _, attributes: __, ...rest }) => rest));
  expect(await source.find(new Set(['c'.repeat(32)]))).toMatchObject({ value: { spans: [] } });
  const ofUser = await source.findByUser('u-8');
  expect(ofUser.ok && ofUser.value.spans.map(({ traceId }) => traceId)).toEqual([OTHER]);
}

test('Jaeger: a trace by id, one that it lacks, and the spans of a user in one service', async () => {
  await using server = await startJaeger(SPANS);
  await expectSpans(openJaeger(server.url, 'shop'));
  expect(server.violations).toEqual([]);
  expect(await openJaeger(server.url, undefined).findByUser('u-7')).toMatchObject({
    error: expect.stringContaining('--service'),
  });
});

test('Tempo: the same, with ids in base64', async () => {
  await using server = await startTempo(SPANS);
  await expectSpans(openTempo(server.url));
  expect(server.violations).toEqual([]);
});

test('files: a request a line, one document over many lines, and what Jaeger downloads', async () => {
  await using dir = await makeTempDir();
  const [lines, document, jaeger] = ['a.ndjson', 'b.json', 'c.json'].map((name) =>
    join(dir.path, name),
  ) as [string, string, string];
  writeFileSync(lines, SPANS.map((one) => JSON.stringify(toOtlp(one))).join('\n'));
  const all = SPANS.flatMap((one) => (toOtlp(one) as { resourceSpans: object[] }).resourceSpans);
  writeFileSync(document, JSON.stringify({ resourceSpans: all }, null, 2));
  await using server = await startJaeger(SPANS);
  const answers = await Promise.all(
    [TRACE, OTHER].map(async (id) => (await fetch(`${server.url}/api/traces/${id}`)).json()),
  );
  writeFileSync(jaeger, answers.map((one) => JSON.stringify(one)).join('\n'));
  await expectSpans(openTraceFile(lines));
  await expectSpans(openTraceFile(document));
  const found = await openTraceFile(jaeger).find(new Set([TRACE]));
  expect(found).toMatchObject({ value: { spans: [{ name: 'handler' }, { name: 'upload' }] } });
});

test('Elasticsearch: keyword and text fields, pages, and no line of another request', async () => {
  const ids = { requests: new Set(['req-10']), traces: new Set([TRACE]) };
  const many = Array.from({ length: 1_200 }, (_, n) => ({ request_id: 'req-10', message: `${n}` }));
  const documents = [
    ...many,
    { trace: { id: TRACE }, message: 'by trace' },
    { 'labels.request_id': 'req-10', message: 'text' },
    { request_id: 'req-2', message: 'speaks of req-10' },
    { message: 'stray req-10 in text' },
    { message: 'req-102' },
  ];
  await using server = await startLogIndex(documents, ['labels.request_id', 'message']);
  const found = await openElasticsearch({ url: server.url, index: 'logs-*' }).find(ids);
  expect(server.violations).toEqual([]);
  expect(found).toMatchObject({ value: { total: 1_203 } });
  const none = await openElasticsearch({ url: server.url, index: 'none' }).find(ids);
  expect(none).toEqual({ ok: false, error: 'answered 404 (index_not_found_exception)' });
});

test('a server that fails, cuts the answer, or is not there is a fault and never an empty answer', async () => {
  const server = await startJaeger(SPANS);
  const source = openJaeger(server.url.replace('//', '//me:s3cret@'), 'shop');
  const faults: string[] = [];
  const ask = async (): Promise<void> => {
    const found = await source.find(new Set([TRACE]));
    faults.push(found.ok ? 'none' : found.error);
  };
  for (const fault of [{ kind: 'status', status: 503 }, { kind: 'reset' }] as const) {
    server.setFault(fault);
    await ask();
  }
  await server[Symbol.asyncDispose]();
  await ask();
  expect(faults[0]).toBe('answered 503');
  for (const fault of faults.slice(1)) expect(fault).toMatch(/does not answer/);
  expect(faults.join()).not.toContain('s3cret');
});
