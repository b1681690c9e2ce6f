/** Traces and logs from servers: what they have, what they lack, and what they say when they cannot. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseHeaders } from '../../../auditor/join/http.ts';
import { openElasticsearch } from '../../../auditor/join/elasticsearch.ts';
import { SPANS_MAX, type TraceSource } from '../../../auditor/join/source.ts';
import { openTraceFile } from '../../../auditor/join/trace-files.ts';
import { openJaeger, openTempo } from '../../../auditor/join/trace-servers.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { startJaeger, startLogIndex, startTempo } from '../../support/trace-servers.ts';
import { startHttpPeer } from '../../support/http-peer.ts';
import { BEGIN_MS, span, toOtlp, TRACE } from './spans.ts';

/** With a leading zero, which Jaeger and Tempo's search leave out. */
const OTHER = `0${'b'.repeat(31)}`;
const SPANS = [
  span('handler', 0, 200, { isServer: true, attributes: { 'user.id': 'u-7' } }),
  span('upload', 20, 190, { parent: 'handler', service: 'files' }),
  span('elsewhere', 10, 20, { traceId: OTHER, attributes: { 'enduser.id': 'u-8' } }),
];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const at = (url: string): { url: string; nowMs: () => number } => ({
  url,
  nowMs: () => BEGIN_MS + HOUR_MS,
});

async function expectSpans(source: TraceSource): Promise<void> {
  const found = await source.find(new Set([TRACE]));
  expect(
    found.ok && found.value.spans.map(({ links: _, attributes: __, ...rest }) => rest),
  ).toEqual(SPANS.slice(0, 2).map(({ links: _, attributes: __, ...rest }) => rest));
  expect(await source.find(new Set(['c'.repeat(32)]))).toMatchObject({ value: { spans: [] } });
}

async function expectUser(source: TraceSource): Promise<void> {
  const ofUser = await source.findByUser('u-8', null);
  expect(ofUser.ok && ofUser.value.spans.map(({ traceId }) => traceId)).toEqual([OTHER]);
  const none = { fromMs: BEGIN_MS - DAY_MS, toMs: BEGIN_MS - HOUR_MS };
  expect(await source.findByUser('u-8', none)).toMatchObject({ value: { spans: [] } });
}

test.each(['internal', 'v3'] as const)(
  'Jaeger, %s API: a trace by id, and one that it lacks',
  async (api) => {
    await using server = await startJaeger(SPANS, api);
    await expectSpans(openJaeger(at(server.url), 'shop'));
    expect(server.violations).toEqual([]);
  },
);

test('Jaeger: the spans of a user in one service, in a time that is named', async () => {
  await using server = await startJaeger(SPANS);
  await expectUser(openJaeger(at(server.url), 'shop'));
  expect(server.violations).toEqual([]);
  expect(await openJaeger(at(server.url), undefined).findByUser('u-7', null)).toMatchObject({
    error: expect.stringContaining('--service'),
  });
});

test.each(['v1', 'v2'] as const)('Tempo, %s API: the same, with ids in base64', async (api) => {
  await using server = await startTempo(SPANS, { api });
  await expectSpans(openTempo(at(server.url)));
  await expectUser(openTempo(at(server.url)));
  expect(server.violations).toEqual([]);
});

test('a search by user says how far it went, and goes back as far as it is told, a week at a time', async () => {
  await using server = await startTempo(SPANS);
  const source = openTempo({ url: server.url, nowMs: () => BEGIN_MS + 30 * DAY_MS });
  expect(await source.findByUser('u-8', null)).toMatchObject({
    value: { spans: [], notes: [expect.stringContaining('--since names another time')] },
  });
  const range = { fromMs: BEGIN_MS - DAY_MS, toMs: BEGIN_MS + 30 * DAY_MS };
  expect(await source.findByUser('u-8', range)).toMatchObject({
    value: { spans: [{ name: 'elsewhere' }], notes: [] },
  });
  expect(server.violations).toEqual([]);
});

test('a trace that the server cuts, and one of more spans than are taken, say so', async () => {
  await using tempo = await startTempo(SPANS, { api: 'v2', status: 'PARTIAL' });
  expect(await openTempo(at(tempo.url)).find(new Set([TRACE]))).toMatchObject({
    value: { notes: [`it has trace ${TRACE} in part only`] },
  });
  const one = {
    traceId: TRACE,
    spanId: 'b'.repeat(16),
    startTimeUnixNano: '1',
    endTimeUnixNano: '2',
  };
  const many = { scopeSpans: [{ spans: Array.from({ length: SPANS_MAX + 1 }, () => one) }] };
  const body = JSON.stringify({ trace: { resourceSpans: [many] } });
  await using server = await startHttpPeer({ handle: () => ({ status: 200, body }) });
  const found = await openTempo(at(server.url)).find(new Set([TRACE]));
  expect(found.ok && [found.value.spans.length, found.value.notes]).toEqual([
    SPANS_MAX,
    [`${SPANS_MAX + 1} spans, of which ${SPANS_MAX} were taken`],
  ]);
});

test('a bearer token and a tenant go to the trace servers as headers', async () => {
  const had: unknown[] = [];
  await using server = await startHttpPeer({
    handle: ({ headers }) => {
      had.push([headers.authorization, headers['x-scope-orgid']]);
      return { status: 404, type: 'text/plain', body: '' };
    },
  });
  const headers = parseHeaders('Authorization=Bearer%20t0k=en, X-Scope-OrgID=acme') ?? {};
  await openTempo({ ...at(server.url), headers }).find(new Set([TRACE]));
  expect(had).toEqual([
    ['Bearer t0k=en', 'acme'],
    ['Bearer t0k=en', 'acme'],
  ]);
  expect(parseHeaders('')).toEqual({});
  for (const wrong of ['Bearer', 'a b=c', 'a=%zz']) expect(parseHeaders(wrong)).toBeNull();
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
  for (const path of [lines, document]) {
    await expectSpans(openTraceFile(path));
    await expectUser(openTraceFile(path));
  }
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
    { correlation_id: 10, message: 'a number' },
  ];
  await using server = await startLogIndex(documents, {
    texts: ['labels.request_id', 'message'],
    numbers: ['correlation_id'],
  });
  const found = await openElasticsearch({ url: server.url, index: 'logs-*' }).find(ids);
  expect(server.violations).toEqual([]);
  expect(found).toMatchObject({ value: { total: 1_203 } });
  const none = await openElasticsearch({ url: server.url, index: 'none' }).find(ids);
  expect(none).toEqual({ ok: false, error: 'answered 404 (index_not_found_exception)' });
});

test('a server that fails, cuts the answer, or is not there is a fault and never an empty answer', async () => {
  const server = await startJaeger(SPANS);
  const source = openJaeger(at(server.url.replace('//', '//me:s3cret@')), 'shop');
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
