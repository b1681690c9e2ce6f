import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { SPANS_PER_SECOND, startTraces, type Traces } from '../../../agent/observe/traces.ts';
import type { Clock, DeliveryReport } from '../../../agent/ports.ts';
import { createCountingMeter } from '../../support/append-stage.ts';
import { eventually, startStopwatch } from '../../support/eventually.ts';
import { createKeptLog } from './support.ts';

const require = createRequire(import.meta.url);
const isSdkLoaded = (): boolean =>
  Object.keys(require.cache).some((path) => path.includes('@opentelemetry/sdk-node'));

interface Span {
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly parentSpanId?: unknown;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: Readonly<Record<string, unknown>>;
  }[];
  readonly status?: { readonly code?: unknown };
}
interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Span['attributes'] };
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

interface MockOtlpServer {
  readonly httpUrl: string;
  start(): Promise<void>;
  close(): Promise<void>;
}
interface MockOtlpServerOptions {
  readonly logLevel: string;
  readonly services: readonly string[];
  readonly httpHostname: string;
  readonly httpPort: number;
  readonly onTrace: (trace: TraceRequest) => void;
}
/** The package comes without types. */
const mock: {
  readonly MockOtlpServer: new (options: MockOtlpServerOptions) => MockOtlpServer;
} = require('@elastic/mockotlpserver');

/** 64-bit numbers come as objects of protobufjs. */
const attributesOf = ({ attributes }: Pick<Span, 'attributes'>): Record<string, unknown> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [plain] = Object.values(value);
      return [key, typeof plain === 'object' ? Number(plain) : plain];
    }),
  );

let requests: TraceRequest[];
let collector: MockOtlpServer;
let traces: Traces | null = null;
const log = createKeptLog();
const spansOf = (name: string): Span[] =>
  requests
    .flatMap(({ resourceSpans }) => resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
    .filter((span) => span.name === name);

beforeAll(async () => {
  collector = new mock.MockOtlpServer({
    logLevel: 'fatal',
    services: ['http'],
    httpHostname: '127.0.0.1',
    httpPort: 0,
    onTrace: (trace: TraceRequest) => requests.push(trace),
  });
  await collector.start();
});

afterAll(() => collector.close());

beforeEach(() => {
  requests = [];
  log.lines.length = 0;
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await traces?.stop();
  traces = null;
});

async function start(endpoint: string | undefined, clock?: Clock): Promise<Traces> {
  traces = await startTraces({ endpoint, version: '1.2.3', log, ...(clock && { clock }) });
  return traces;
}

const report = (changes: Partial<DeliveryReport> = {}): DeliveryReport => ({
  sink: 'postgresql',
  records: 256,
  startedMs: Date.now() - 40,
  durationMs: 40,
  outcome: 'delivered',
  ...changes,
});

test('without an endpoint the SDK is not even loaded, and the meter is the meter', async () => {
  const off = await start(undefined);
  const meter = createCountingMeter();
  expect(off.meter(meter)).toBe(meter);
  off.onDelivery(report());
  await off.stop();
  expect(isSdkLoaded()).toBe(false);
});

test('a commit and a delivered batch arrive as spans, with counts and times', async () => {
  const on = await start(collector.httpUrl);
  expect(isSdkLoaded()).toBe(true);
  const counted = createCountingMeter();
  const meter = on.meter(counted);
  meter.acks(3);
  meter.commit(3, 2_100, 0.0125);
  on.onDelivery(report());
  on.onDelivery(report({ sink: 'file/ecs', outcome: 'failed' }));
  await on.stop();

  expect(counted.counts).toMatchObject({ acks: 3, commits: 1 });
  const [commit] = spansOf('append.commit');
  expect(attributesOf(commit!)).toEqual({
    'audit.records': 3,
    'audit.bytes': 2_100,
    'audit.fsync_seconds': 0.0125,
    'audit.spans_skipped': 0,
  });
  const nanos = BigInt(commit!.endTimeUnixNano) - BigInt(commit!.startTimeUnixNano);
  expect(Number(nanos) / 1e6).toBeCloseTo(12.5, 2);

  const batches = spansOf('deliver.batch').map((span) => ({
    ...attributesOf(span),
    failed: span.status?.code === 2 || span.status?.code === 'STATUS_CODE_ERROR',
  }));
  expect(batches).toMatchObject([
    { 'audit.sink': 'postgresql', 'audit.outcome': 'delivered', failed: false },
    { 'audit.sink': 'file/ecs', 'audit.outcome': 'failed', failed: true },
  ]);
  expect(attributesOf(requests[0]!.resourceSpans[0]!.resource)).toMatchObject({
    'service.name': 'sealtrail-agent',
    'service.version': '1.2.3',
  });
});

test('traces can be started again after a stop', async () => {
  for (const round of [1, 2]) {
    const on = await start(new URL('v1/traces', collector.httpUrl).href);
    on.meter(createCountingMeter()).commit(round, 1, 0.001);
    await on.stop();
    expect(spansOf('append.commit')).toHaveLength(round);
  }
});

test('a busy agent sends few spans, says how many it left out, and never leaves out a slow commit', async () => {
  let nowMs = 1_000_000;
  const on = await start(collector.httpUrl, { nowMs: () => nowMs });
  const meter = on.meter(createCountingMeter());
  for (let index = 0; index < 500; index++) meter.commit(1, 700, 0.0001);
  for (let index = 0; index < 300; index++) on.onDelivery(report());
  for (let index = 0; index < 3; index++) on.onDelivery(report({ sink: 'file/ecs' }));
  meter.commit(1, 700, 0.08);
  nowMs += 1_000;
  meter.commit(1, 700, 0.0001);
  await on.stop();

  const commits = spansOf('append.commit').map(attributesOf);
  expect(commits).toHaveLength(SPANS_PER_SECOND + 2);
  const skipped = commits.map((attributes) => Number(attributes['audit.spans_skipped']));
  expect(skipped).toEqual([...Array<number>(SPANS_PER_SECOND).fill(0), 500 - SPANS_PER_SECOND, 0]);
  expect(commits[SPANS_PER_SECOND]).toMatchObject({ 'audit.fsync_seconds': 0.08 });
  const bySink = spansOf('deliver.batch').map((span) => attributesOf(span)['audit.sink']);
  expect(bySink.filter((sink) => sink === 'postgresql')).toHaveLength(SPANS_PER_SECOND);
  expect(bySink.filter((sink) => sink === 'file/ecs')).toHaveLength(3);
});

test('a collector that refuses is logged once a minute, and counted', async () => {
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '5');
  let refused = 0;
  let nowMs = 1_000_000;
  await using refusing = await listen((_, answer) => {
    refused += 1;
    // One export after the other: that of the fourth has been heard.
    if (refused === 5) nowMs += 60_000;
    answer.writeHead(400).end();
  });
  const on = await start(refusing.url, { nowMs: () => nowMs });
  const meter = on.meter(createCountingMeter());
  for (let round = 1; round <= 5; round++) {
    meter.commit(1, 700, 0.001);
    await eventually(() => expect(refused).toBe(round));
  }
  await eventually(() =>
    expect(log.lines).toMatchObject([
      { level: 'warn', fields: { component: 'traces', attempts: 1 } },
      { level: 'warn', fields: { component: 'traces', attempts: 4 } },
    ]),
  );
});

test('with a collector that is down, or silent, the meter counts on and the stop is short', async () => {
  await using silent = await listen(() => undefined);
  const down = await listen(() => undefined);
  await down[Symbol.asyncDispose]();
  for (const { url } of [silent, down]) {
    const on = await start(url);
    const counted = createCountingMeter();
    const meter = on.meter(counted);
    for (let index = 0; index < 1_000; index++) meter.commit(1, 700, 0.0001);
    on.onDelivery(report());
    const elapsedMs = startStopwatch();
    await on.stop();
    expect(elapsedMs()).toBeLessThan(2_000);
    expect(counted.counts.commits).toBe(1_000);
  }
});

test('an endpoint that is no URL leaves the agent without traces, and says so', async () => {
  const off = await start('http://');
  const meter = createCountingMeter();
  expect(off.meter(meter)).toBe(meter);
  expect(log.lines).toMatchObject([{ level: 'error', fields: { component: 'traces' } }]);
});

async function listen(
  handler: Parameters<typeof createServer>[1] & {},
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server: Server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
