import { gzipSync } from 'node:zlib';
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtoExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import protobuf from 'protobufjs/minimal.js';
import { describe, expect, test } from 'vitest';
import { logRecord, logsRequest, startReceiver } from '../../support/otlp.ts';

diag.setLogger(
  {
    error: () => undefined,
    warn: () => undefined,
    info: () => undefined,
    debug: () => undefined,
    verbose: () => undefined,
  },
  DiagLogLevel.NONE,
);

async function emitStock(
  url: string,
  Exporter: typeof JsonExporter | typeof ProtoExporter,
): Promise<void> {
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'shop', 'service.version': '1.2.3' }),
    processors: [
      new BatchLogRecordProcessor({ exporter: new Exporter({ url: `${url}/v1/logs` }) }),
    ],
  });
  provider.getLogger('shop').emit({
    eventName: 'customer.export',
    timestamp: [1772359200, 123456789],
    observedTimestamp: [1772359200, 200000000],
    body: 'export of a list',
    attributes: {
      'audit.record.id': 'f7e8d9c0-b1a2-3456-cdef-0987654321ab',
      'audit.actor.id': 'u_1',
      'audit.actor.type': 'user',
      'audit.action': 'EXPORT',
      'audit.outcome': 'failure',
      'sealtrail.outcome': 'denied',
      'audit.target.id': 'c_17',
      'audit.target.type': 'customer',
      'audit.source.id': '203.0.113.42',
      'audit.source.type': 'ipv4',
      rows: 4711,
      ratio: 0.5,
      flags: ['a', 'b'],
      nested: { deep: { yes: true } },
      blob: new Uint8Array([1, 2, 255]),
    },
  });
  await provider.shutdown();
}

describe.each([
  ['JSON', JsonExporter],
  ['protobuf', ProtoExporter],
])('the stock OpenTelemetry exporter with %s', (_, Exporter) => {
  test('delivers an audit event, mapped and sealed', async () => {
    await using receiver = await startReceiver();
    await emitStock(receiver.url, Exporter);
    const [record, ...others] = await receiver.ledger();
    expect(others).toEqual([]);
    expect(record?.event).toMatchObject({
      event: {
        action: 'customer.export',
        category: 'data_access',
        outcome: 'denied',
        time: '2026-03-01T10:00:00.123Z',
      },
      actor: { type: 'user', id: 'u_1', name: 'u_1', on_behalf_of: null },
      resource: { type: 'customer', id: 'c_17', tenant_id: 'acme' },
      source: { ip: '203.0.113.42', service: 'shop', service_version: '1.2.3' },
      origin: { signal: 'logs', record_id: 'f7e8d9c0-b1a2-3456-cdef-0987654321ab' },
      metadata: {
        'audit.action': 'EXPORT',
        body: 'export of a list',
        rows: 4711,
        ratio: 0.5,
        flags: ['a', 'b'],
        nested: { deep: { yes: true } },
        blob: 'AQL/',
      },
    });
    expect(receiver.test.meter.counts.acks).toBe(1);
  });
});

test('a record sent again, in the other encoding too, is sealed once', async () => {
  await using receiver = await startReceiver();
  await emitStock(receiver.url, JsonExporter);
  await emitStock(receiver.url, ProtoExporter);
  await emitStock(receiver.url, JsonExporter);
  expect(await receiver.ledger()).toHaveLength(1);
  expect(receiver.test.meter.counts.acks).toBe(3);
});

test('what is no audit record is rejected alone, with its place and what is missing', async () => {
  await using receiver = await startReceiver();
  const other = { body: { stringValue: 'GET / 200' }, timeUnixNano: '1772359200000000000' };
  const response = await receiver.post(
    '/v1/logs',
    logsRequest([
      other,
      logRecord(),
      logRecord({
        attributes: { 'audit.record.id': 'r2', 'audit.action': 'DANCE' },
        eventName: 'dance',
      }),
    ]),
  );
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('application/json');
  const { partialSuccess } = (await response.json()) as { partialSuccess: Record<string, string> };
  expect(partialSuccess['rejectedLogRecords']).toBe('2');
  expect(partialSuccess['errorMessage']).toMatch(/record 0: .*audit\.record\.id, .*filter/);
  expect(partialSuccess['errorMessage']).toMatch(/record 2: unknown_action: /);
  expect(await receiver.ledger()).toHaveLength(1);
  expect(receiver.test.meter.counts.nacks).toEqual({ schema_invalid: 1, unknown_action: 1 });
});

test('a changed duplicate is rejected in the partial success', async () => {
  await using receiver = await startReceiver();
  const changed = logRecord({ attributes: { 'audit.actor.id': 'someone else' } });
  const first = await receiver.post('/v1/logs', logsRequest([logRecord(), changed]));
  expect(await first.text()).toMatch(/record 1: id_conflict/);
  expect(await receiver.ledger()).toHaveLength(1);
});

test('a gzip body is taken, and a success is an empty response', async () => {
  await using receiver = await startReceiver();
  const body = gzipSync(JSON.stringify(logsRequest([logRecord()])));
  const response = await receiver.post('/v1/logs', body, { 'Content-Encoding': 'gzip' });
  expect([response.status, await response.json()]).toEqual([200, {}]);
  expect(await receiver.ledger()).toHaveLength(1);
});

test('partial success and errors to protobuf requests are protobuf', async () => {
  await using receiver = await startReceiver();
  const headers = { 'Content-Type': 'application/x-protobuf' };
  // resourceLogs { scopeLogs { logRecords {} } }
  const empty = Uint8Array.from([0x0a, 4, 0x12, 2, 0x12, 0]);
  const partial = await receiver.post('/v1/logs', empty, headers);
  expect(partial.headers.get('content-type')).toBe('application/x-protobuf');
  const reader = protobuf.Reader.create(new Uint8Array(await partial.arrayBuffer()));
  expect([
    reader.uint32(),
    reader.uint32() > 0,
    reader.uint32(),
    reader.int64().toString(),
  ]).toEqual([10, true, 8, '1']);
  expect([reader.uint32(), /audit\.record\.id/.test(reader.string())]).toEqual([18, true]);

  const broken = await receiver.post('/v1/logs', Uint8Array.from([0x0a, 200]), headers);
  expect(broken.status).toBe(400);
  const status = protobuf.Reader.create(new Uint8Array(await broken.arrayBuffer()));
  expect([status.uint32(), status.int32(), status.uint32()]).toEqual([8, 3, 18]);
});

test('an empty request succeeds', async () => {
  await using receiver = await startReceiver();
  const headers = { 'Content-Type': 'application/x-protobuf' };
  expect((await receiver.post('/v1/logs', new Uint8Array(0), headers)).status).toBe(200);
  expect((await receiver.post('/v1/logs', {})).status).toBe(200);
});

test('a tenant comes from the record, then the resource, then the configuration', async () => {
  await using receiver = await startReceiver();
  const request = logsRequest(
    [
      logRecord({ attributes: { 'audit.record.id': 'r1', 'sealtrail.tenant_id': 'acme' } }),
      logRecord({ attributes: { 'audit.record.id': 'r2' } }),
      logRecord({ attributes: { 'audit.record.id': 'r3', 'audit.tenant.id': 'unheard-of' } }),
    ],
    { 'tenant.id': 'globex' },
  );
  const response = await receiver.post('/v1/logs', request);
  expect(await response.text()).toMatch(/record 2: unknown_tenant: sealtrail\.tenant_id/);
  const tenants = (await receiver.ledger()).map(({ event }) => event.resource.tenant_id);
  expect(tenants).toEqual(['acme', 'globex']);
});

test('unsafe values refuse their record and no other', async () => {
  await using receiver = await startReceiver();
  const deep = Array.from({ length: 17 }).reduce<object>(
    (inner) => ({ arrayValue: { values: [inner] } }),
    { stringValue: 'x' },
  );
  const bad: [string, object][] = [
    ['deep', deep],
    ['nan', { doubleValue: 'NaN' }],
    ['big', { intValue: 9007199254740993 }],
    ['surrogate', { stringValue: '\ud800' }],
    ['__proto__', { stringValue: 'x' }],
    ['two', { stringValue: 'x', boolValue: true }],
  ];
  const records = bad.map(([key, value], index) => ({
    ...logRecord(),
    attributes: [
      ...(logRecord({ attributes: { 'audit.record.id': `r${index}` } }) as { attributes: object[] })
        .attributes,
      { key, value },
    ],
  }));
  const fine = logRecord({ attributes: { huge: { intValue: '9007199254740993' } } });
  const response = await receiver.post('/v1/logs', logsRequest([...records, fine]));
  expect(await response.json()).toMatchObject({ partialSuccess: { rejectedLogRecords: '6' } });
  const [sealed, ...others] = await receiver.ledger();
  expect(others).toEqual([]);
  expect(sealed?.event.metadata['huge']).toBe('9007199254740993');
});
