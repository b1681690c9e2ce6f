import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import type { Sink } from '../../../../agent/ports.ts';
import type { OtlpExporterConfig } from '../../../../schemas/exporter-config.ts';
import { DELIVERED } from '../../../support/delivery.ts';
import { startHttpPeer } from '../../../support/http-peer.ts';
import { openTestSink, sealedRecords, send, sendAll, SINK_BASE } from '../../../support/sinks.ts';

interface LogsRequest {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[];
  }[];
}
interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}
interface LogRecord {
  readonly eventName?: string;
  readonly severityText: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly Attribute[];
}

/** The package comes without types. */
const mock: {
  readonly MockOtlpServer: new (options: object) => {
    readonly httpUrl: string;
    start(): Promise<void>;
    close(): Promise<void>;
  };
} = createRequire(import.meta.url)('@elastic/mockotlpserver');

const records = sealedRecords(6);
const ids = records.map(({ event }) => event.event_id);

function open(
  url: string,
  over: Partial<OtlpExporterConfig> = {},
): Promise<Sink & AsyncDisposable> {
  return openTestSink({
    ...SINK_BASE,
    name: 'otlp',
    type: 'otlp',
    endpoints: [url],
    encoding: 'protobuf',
    format: 'ecs',
    headers: {},
    gzip: true,
    ...over,
  });
}

const valueOf = (
  { attributes }: { readonly attributes: readonly Attribute[] },
  key: string,
): unknown => attributes.find((one) => one.key === key)?.value.stringValue;

test.each(['protobuf', 'json'] as const)(
  'an OpenTelemetry receiver that is not ours reads the records, in %s',
  async (encoding) => {
    const requests: LogsRequest[] = [];
    const collector = new mock.MockOtlpServer({
      logLevel: 'fatal',
      services: ['http'],
      httpHostname: '127.0.0.1',
      httpPort: 0,
      onLogs: (logs: LogsRequest) => requests.push(logs),
    });
    await collector.start();
    try {
      await using sink = await open(collector.httpUrl, { encoding, gzip: false });
      expect(await send(sink, records)).toEqual(DELIVERED);
    } finally {
      await collector.close();
    }
    const groups = requests.flatMap(({ resourceLogs }) => resourceLogs);
    const logs = groups.flatMap(({ scopeLogs }) => scopeLogs.flatMap((one) => one.logRecords));
    expect(logs.map((log) => valueOf(log, 'audit.record.id'))).toEqual(ids);
    const [first] = records;
    const [group] = groups;
    const [log] = logs;
    expect(valueOf(group!.resource, 'service.name')).toBe(first?.event.source.service);
    expect(valueOf(log!, 'audit.action')).toBe(first?.event.event.action);
    expect(valueOf(log!, 'sealtrail.chain.this_hash')).toBe(first?.this_hash);
    expect(JSON.parse(log!.body.stringValue)).toMatchObject({
      event: { id: ids[0] },
      sealtrail: { metadata: { note: 'größer "]\\\n' } },
    });
  },
);

/** A response in protobuf that rejects so many records. */
function rejecting(count: number): Buffer {
  const varint = count < 128 ? [count] : [(count & 0x7f) | 0x80, count >> 7];
  return Buffer.from([0x0a, 1 + varint.length, 0x08, ...varint]);
}

test('all of a batch rejected is a dead letter each; some of it sends halves', async () => {
  let rejected = 0;
  await using peer = await startHttpPeer({
    handle: () => ({ status: 200, type: 'application/x-protobuf', body: rejecting(rejected) }),
  });
  await using sink = await open(peer.url);
  rejected = 6;
  expect(await send(sink, records)).toMatchObject({
    kind: 'delivered',
    retry: [],
    poison: { length: 6 },
  });
  rejected = 2;
  expect(await send(sink, records)).toEqual({
    kind: 'too_large',
    reason: 'rejected by the receiver (partial success)',
  });
  // More than were sent (and a number of two bytes, the first of which is no UTF-8): about them it says nothing.
  rejected = 200;
  expect(await send(sink, records)).toMatchObject({ kind: 'too_large' });
  expect(await send(sink, records.slice(0, 1))).toMatchObject({ poison: { length: 1 } });
});

test.each([400, 422])(
  'one record answered %i is a dead letter, its neighbours arrive',
  async (status) => {
    const bad = ids[4] ?? '';
    const stored: string[] = [];
    await using peer = await startHttpPeer({
      handle: ({ body }) => {
        if (body.includes(bad)) return { status, body: 'quotes the record' };
        stored.push(...ids.filter((id) => body.includes(id)));
        return { status: 200, body: '' };
      },
    });
    await using sink = await open(peer.url);
    const tried = await sendAll(sink, records);
    expect(tried.again).toEqual([]);
    expect(tried.poison.map(({ record, reason }) => [record.event.event_id, reason])).toEqual([
      [bad, `rejected by the receiver (${status})`],
    ]);
    expect(stored).toEqual(ids.filter((id) => id !== bad));
  },
);

test.each([200, 202, 204])('%i without a body is a success', async (status) => {
  await using peer = await startHttpPeer({ handle: () => ({ status, body: '' }) });
  for (const encoding of ['protobuf', 'json'] as const) {
    await using sink = await open(peer.url, { encoding });
    expect(await send(sink, records)).toEqual(DELIVERED);
  }
});

test('a receiver that cannot gunzip refuses us, and no record', async () => {
  await using peer = await startHttpPeer({
    handle: ({ headers }) =>
      headers['content-encoding'] === undefined
        ? { status: 200, body: '' }
        : { status: 400, body: '' },
  });
  await using sink = await open(peer.url);
  expect(await send(sink, records)).toEqual({ kind: 'failed', reason: 'answered 400' });
});

test('400 counts against a record only where the receiver takes a request without any', async () => {
  let takesEmpty = false;
  await using peer = await startHttpPeer({
    handle: ({ body }) =>
      takesEmpty && !ids.some((id) => body.includes(id))
        ? { status: 200, body: '' }
        : { status: 400, body: 'quotes the records' },
  });
  await using sink = await open(peer.url);
  expect(await send(sink, records)).toEqual({ kind: 'failed', reason: 'answered 400' });
  takesEmpty = true;
  expect(await send(sink, records)).toEqual({
    kind: 'too_large',
    reason: 'rejected by the receiver (400)',
  });
});

test('an answer that is not of the protocol confirms nothing', async () => {
  await using peer = await startHttpPeer({
    handle: () => ({ status: 200, body: '<html>Welcome</html>' }),
  });
  for (const encoding of ['protobuf', 'json'] as const) {
    await using sink = await open(peer.url, { encoding });
    expect(await send(sink, records)).toMatchObject({ kind: 'failed' });
  }
});
