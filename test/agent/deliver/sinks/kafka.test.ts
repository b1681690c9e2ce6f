import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { KAFKA_DEFAULTS } from '../../../../agent/config-defaults.ts';
import type { Sink } from '../../../../agent/ports.ts';
import type { KafkaExporterConfig } from '../../../../schemas/exporter-config.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { DELIVERED, startTestLoop, whenDelivered, writeLedger } from '../../../support/delivery.ts';
import { testWhere } from '../../../support/host.ts';
import { hasKafka, PRODUCE, startKafka, TOPIC, type TestKafka } from '../../../support/kafka.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import {
  openTestSink,
  sealedRecords,
  send,
  sendAll,
  SINK_BASE,
  testFormat,
} from '../../../support/sinks.ts';
import { createSealer, type EventFields } from '../../../store/sealed.ts';

const test = testWhere(hasKafka, 'librdkafka and its Python binding are not installed');
const sealers = Array.from({ length: 8 }, (_, index) => createSealer(undefined, `tenant-${index}`));
const records = sealedRecords(80, undefined, sealers);

function open(
  broker: string,
  over: Partial<KafkaExporterConfig> = {},
): Promise<Sink & AsyncDisposable> {
  return openTestSink({
    ...KAFKA_DEFAULTS,
    ...SINK_BASE,
    name: 'kafka',
    type: 'kafka',
    brokers: [broker],
    topic: TOPIC,
    transport: 'tcp',
    timeout_ms: 30_000,
    ...over,
  });
}

/** Sequence numbers of each stream as its partition has them; a stream in two partitions is an error. */
function sequences(kafka: TestKafka): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  const places = new Map<string, number>();
  for (const { partition, headers } of kafka.read()) {
    const stream = headers['stream'] ?? '';
    expect(places.get(stream) ?? partition).toBe(partition);
    places.set(stream, partition);
    found.set(stream, [...(found.get(stream) ?? []), Number(headers['seq'])]);
  }
  return found;
}

/** Every record is there, and its first appearance comes in order. */
function expectAllInOrder(kafka: TestKafka, upTo = records.length): void {
  const found = sequences(kafka);
  expect(found.size).toBe(sealers.length);
  for (const { stream } of sealers) {
    const wanted = records
      .slice(0, upTo)
      .filter(({ event }) => event.chain.stream === stream)
      .map(({ event }) => event.chain.seq);
    expect([...new Set(found.get(stream))]).toEqual(wanted);
  }
}

test('an agent without this sink does not load the client', () => {
  const dir = join(import.meta.dirname, '../../../../agent');
  const imports = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => [...readFileSync(join(dir, name), 'utf8').matchAll(/^.*'kafkajs'.*$/gm)])
    .map(([line]) => line.trim());
  expect(imports.filter((line) => !line.startsWith('import type'))).toEqual([
    "const { CompressionTypes, Kafka, Partitioners, logLevel } = await import('kafkajs');",
  ]);
});

test.each([
  { format: 'ecs', idempotent: true, gzip: true },
  { format: 'ocsf', idempotent: false, gzip: false },
  { format: 'native', idempotent: true, gzip: false },
] as const)('records arrive whole, once, in order by stream: %o', async (over) => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker, over);
  for (let from = 0; from < records.length; from += 16)
    expect(await send(sink, records.slice(from, from + 16))).toEqual(DELIVERED);
  const read = kafka.read();
  expect(read).toHaveLength(records.length);
  expectAllInOrder(kafka);
  expect(new Set(read.map(({ partition }) => partition)).size).toBeGreaterThan(1);
  const byId = new Map(read.map((message) => [message.headers['event_id'], message]));
  for (const record of records) {
    const { chain, event_id } = record.event;
    expect(byId.get(event_id)).toMatchObject({
      key: chain.stream,
      value: testFormat(over.format)(record).trimEnd(),
      headers: {
        tenant: record.event.resource.tenant_id,
        seq: String(chain.seq),
        prev_hash: record.prev_hash,
        this_hash: record.this_hash,
      },
    });
  }
});

test('keyed by tenant, a tenant is in one partition', async () => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker, { key: 'tenant' });
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(new Set(kafka.read().map(({ key }) => key)).size).toBe(8);
  expectAllInOrder(kafka);
});

test('a batch too large is to be sent in halves, and no record is to blame before it is alone', async () => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker);
  await kafka.failNext(PRODUCE, 10);
  expect(await send(sink, records.slice(0, 1))).toEqual({
    kind: 'too_large',
    reason: 'too large for the topic (MESSAGE_TOO_LARGE)',
  });
  expect(await send(sink, records)).toEqual(DELIVERED);
});

test("a topic's largest batch is kept to: batches go in halves until they fit, and a record beyond it is set aside", async () => {
  await using kafka = await startKafka({ batchBytesMax: 8_000 });
  await using sink = await open(kafka.broker, { gzip: false });
  const fields = (number: number): EventFields => ({
    metadata: { note: number === 30 ? 'x'.repeat(20_000) : 'small' },
  });
  const batch = sealedRecords(60, fields, [createSealer()]);
  expect(await send(sink, batch.slice(0, 2))).toEqual(DELIVERED);
  expect(await send(sink, batch)).toMatchObject({ kind: 'too_large' });
  const sent = await sendAll(sink, batch);
  expect(sent.again).toEqual([]);
  expect(sent.poison).toMatchObject([
    { record: { number: 30 }, reason: expect.stringContaining('MESSAGE_TOO_LARGE') },
  ]);
  const arrived = kafka.read().map(({ headers }) => headers['event_id']);
  const wanted = batch.flatMap(({ event, number }) => (number === 30 ? [] : [event.event_id]));
  expect([...new Set(arrived)]).toEqual(wanted);
});

test('a batch with a record that the cluster finds invalid goes in halves, as one that is too large', async () => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker);
  const batch = records.slice(0, 4);
  await kafka.failNext(PRODUCE, 87);
  expect(await send(sink, batch)).toEqual({
    kind: 'too_large',
    reason: 'the cluster finds a record invalid (INVALID_RECORD)',
  });
  expect(await send(sink, batch.slice(0, 2))).toEqual(DELIVERED);
});

test('what the cluster can mend by itself is tried again within the call', async () => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker);
  await kafka.failNext(PRODUCE, 6); // not the leader
  expect(await send(sink, records)).toEqual(DELIVERED);
  await kafka.failNext(PRODUCE, 19, 2); // too few replicas
  expect(await send(sink, records)).toEqual(DELIVERED);
});

test('what an operator has to mend fails the batch with its reason, and goes through afterwards', async () => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker);
  for (const [code, reason] of [
    [29, 'the user may not write to the topic (TOPIC_AUTHORIZATION_FAILED)'],
    [31, expect.stringContaining('idempotent: false')],
    [19, 'too few replicas are in sync (NOT_ENOUGH_REPLICAS)'],
  ] as const) {
    await kafka.failNext(PRODUCE, code, code === 19 ? 4 : 1);
    expect(await send(sink, records)).toEqual({ kind: 'failed', reason });
  }
  expect(await send(sink, records)).toEqual(DELIVERED);
  expectAllInOrder(kafka);
});

test('a connection reset before or after the broker has a batch loses nothing and keeps the order', async () => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker);
  for (let from = 0; from < records.length; from += 8) {
    kafka.front.faults.push('reset before', 'reset after');
    expect(await send(sink, records.slice(from, from + 8))).toEqual(DELIVERED);
  }
  expect(kafka.front.faults).toEqual([]);
  expectAllInOrder(kafka);
});

test('a broker that does not answer fails the batch; nothing of it comes late, behind newer records', async () => {
  await using kafka = await startKafka();
  await using sink = await open(kafka.broker, { timeout_ms: 4_000 });
  expect(await send(sink, records.slice(0, 8))).toEqual(DELIVERED);
  kafka.front.faults.push('no answer');
  expect(await send(sink, records.slice(8, 16))).toMatchObject({ kind: 'failed' });
  const produced = kafka.front.produced();
  // For longer than the client waits before it tries again by itself.
  const endMs = performance.now() + 3_000;
  let sent = 0;
  for (; sent === 0 || performance.now() < endMs; sent++)
    expect(await send(sink, records.slice(8, 16))).toEqual(DELIVERED);
  expect(kafka.front.produced()).toBe(produced + sent);
  expect(await send(sink, records.slice(16))).toEqual(DELIVERED);
  expectAllInOrder(kafka);
});

test('brokers down, then up: the loop gets everything there, and sets nothing aside', async () => {
  await using kafka = await startKafka();
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 60);
  await kafka.front.stop();
  const sink = await open(kafka.broker, { timeout_ms: 2_000 });
  const loop = await startTestLoop(temp.path, durable, sink);
  await expect.poll(() => loop.report().state).toBe('retrying');
  expect(loop.report().last_error).toContain('ECONNREFUSED');
  await kafka.front.start();
  await whenDelivered(loop, durable);
  expect(loop.report()).toMatchObject({ dead_letters: 0, delivered_total: durable });
  await loop.stop();
  expect(new Set(kafka.read().map(({ headers }) => headers['event_id'])).size).toBe(durable);
});

test('a name that does not resolve, and a signal to stop, fail the batch', async () => {
  await using lost = await open('kafka.invalid:9092', { timeout_ms: 1_000 });
  expect(await send(lost, records)).toEqual({
    kind: 'failed',
    reason: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|timeout/),
  });
  expect(await send(lost, records, AbortSignal.abort())).toEqual({
    kind: 'failed',
    reason: 'stopped',
  });
});

test('TLS and SASL: a wrong or expired certificate and a revoked password fail the batch, and pass when mended', async () => {
  await using temp = await makeTempDir();
  const authority = createAuthority();
  const ca_file = join(temp.path, 'ca.pem');
  await writeFile(ca_file, authority.cert);
  const good = authority.issue('broker');
  await using kafka = await startKafka({
    tls: createAuthority('another').issue('broker'),
    sasl: { mechanism: 'PLAIN', username: 'audit', password: 'right' },
  });
  const tls = { ca_file, insecure_skip_verify: false };
  const sasl = { mechanism: 'plain', username: 'audit', password: 'right' } as const;
  await using sink = await open(kafka.broker, { transport: 'tls', tls, sasl });
  expect(await send(sink, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('unable to verify'),
  });
  kafka.front.useCertificate(authority.issue('broker', { daysLeft: -1 }));
  expect(await send(sink, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('certificate has expired'),
  });
  kafka.front.useCertificate(good);
  expect(await send(sink, records.slice(0, 40))).toEqual(DELIVERED);

  // Revoked: what is connected stays, what connects anew is not let in.
  kafka.front.sasl = { mechanism: 'PLAIN', username: 'audit', password: 'another' };
  kafka.front.faults.push('reset before');
  expect(await send(sink, records.slice(40))).toEqual({
    kind: 'failed',
    reason: 'username or password is not accepted',
  });
  kafka.front.sasl = { mechanism: 'PLAIN', username: 'audit', password: 'right' };
  expect(await send(sink, records.slice(40))).toEqual(DELIVERED);
  expectAllInOrder(kafka);
});
