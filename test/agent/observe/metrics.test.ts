import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { agentStatus, appendStatus, parseMetrics, sinkStatus } from './support.ts';

const DOC = readFileSync(join(import.meta.dirname, '../../../docs/OBSERVE.md'), 'utf8');

test('what the stages count is what a scrape shows', async () => {
  const { meter, onDelivery, text } = createMetrics({ status: () => agentStatus() });
  meter.acks(5);
  meter.acks(2);
  meter.nacks('schema_invalid', 3);
  meter.nacks('disk_full', 1);
  meter.commit(7, 7_000, 0.0004);
  meter.commit(1, 900, 0.3);
  meter.producerGap(4);
  meter.connection(1);
  meter.connection(1);
  meter.connection(-1);
  const report = { sink: 'postgresql', records: 100, startedMs: 0 };
  onDelivery({ ...report, durationMs: 40, outcome: 'delivered' });
  onDelivery({ ...report, durationMs: 9_000, outcome: 'failed' });

  const { samples } = parseMetrics(await text());
  const expected = {
    audit_receive_acks_total: 7,
    'audit_receive_nacks_total{kind="schema_invalid"}': 3,
    'audit_receive_nacks_total{kind="disk_full"}': 1,
    'audit_receive_nacks_total{kind="malformed"}': 0,
    audit_receive_connections: 1,
    audit_producer_gaps_total: 4,
    audit_append_batch_records_count: 2,
    audit_append_batch_records_sum: 8,
    'audit_append_batch_records_bucket{le="1"}': 1,
    'audit_append_batch_records_bucket{le="8"}': 2,
    audit_append_batch_bytes_sum: 7_900,
    'audit_append_batch_bytes_bucket{le="1024"}': 1,
    'audit_append_fsync_seconds_bucket{le="0.00005"}': 0,
    'audit_append_fsync_seconds_bucket{le="0.0005"}': 1,
    'audit_append_fsync_seconds_bucket{le="2.5"}': 2,
    'audit_deliver_batch_seconds_count{sink="postgresql",outcome="delivered"}': 1,
    'audit_deliver_batch_seconds_sum{sink="postgresql",outcome="failed"}': 9,
  };
  for (const [sample, value] of Object.entries(expected)) {
    expect([sample, samples.get(sample)]).toEqual([sample, value]);
  }
});

test('what the status says is what a scrape shows, at the moment of the scrape', async () => {
  let status = agentStatus();
  const { text } = createMetrics({ status: () => status });
  const expectSamples = async (expected: Readonly<Record<string, number>>): Promise<void> => {
    const { samples } = parseMetrics(await text());
    for (const [sample, value] of Object.entries(expected)) {
      expect([sample, samples.get(sample)]).toEqual([sample, value]);
    }
  };
  await expectSamples({
    'audit_build_info{version="1.2.3"}': 1,
    audit_append_queue_events: 7,
    audit_append_queue_limit_events: 100,
    'audit_append_state{state="ready"}': 1,
    'audit_append_state{state="disk_full"}': 0,
    audit_ledger_records: 1_200,
    audit_ledger_bytes: 900_000,
    audit_disk_used_ratio: 0.72,
    audit_disk_left_bytes: 280_000,
    audit_disk_quota_bytes: 1_000_000,
    'audit_deliver_lag_records{sink="postgresql"}': 200,
    'audit_deliver_lag_seconds{sink="file/ecs"}': 1.5,
    'audit_deliver_records_total{sink="postgresql"}': 1_000,
    'audit_deliver_retries_total{sink="postgresql"}': 3,
    'audit_deliver_dead_letters{sink="postgresql"}': 2,
    'audit_deliver_state{sink="postgresql",state="delivering"}': 1,
    'audit_deliver_state{sink="postgresql",state="retrying"}': 0,
  });
  status = agentStatus({
    append: appendStatus({ state: 'disk_full', records: 1_500 }),
    sinks: [
      sinkStatus('postgresql', {
        state: 'retrying',
        delivered_total: 1_100,
        lag_records: 400,
        skipped_total: 70,
      }),
    ],
  });
  await expectSamples({
    'audit_append_state{state="ready"}': 0,
    'audit_append_state{state="disk_full"}': 1,
    audit_ledger_records: 1_500,
    'audit_deliver_records_total{sink="postgresql"}': 1_100,
    'audit_deliver_lag_records{sink="postgresql"}': 400,
    'audit_deliver_skipped_total{sink="postgresql"}': 70,
    'audit_deliver_state{sink="postgresql",state="retrying"}': 1,
  });
});

test('no client can make the number of series grow', async () => {
  const { meter, totals, text } = createMetrics({ status: () => agentStatus() });
  const before = parseMetrics(await text()).samples.size;
  for (let index = 0; index < 1_000; index++) meter.nacks(`made up ${index}`, 2);
  const { samples } = parseMetrics(await text());
  expect(samples.get('audit_receive_nacks_total{kind="other"}')).toBe(2_000);
  expect(samples.size).toBe(before);
  expect(totals().nacks_total).toEqual({ other: 2_000 });
});

test('the totals of the status are those of the metrics', () => {
  const { meter, totals } = createMetrics({ status: () => agentStatus() });
  expect(totals()).toEqual({ acks_total: 0, nacks_total: {} });
  meter.acks(3);
  meter.nacks('too_large', 1);
  meter.nacks('too_large', 1);
  expect(totals()).toEqual({ acks_total: 3, nacks_total: { too_large: 2 } });
});

test('two agents in one process do not share counts', async () => {
  const first = createMetrics({ status: () => agentStatus() });
  const second = createMetrics({ status: () => agentStatus() });
  first.meter.acks(9);
  expect(parseMetrics(await second.text()).samples.get('audit_receive_acks_total')).toBe(0);
});

test('docs/OBSERVE.md names exactly the metrics that exist, with their types', async () => {
  const { text, onDelivery } = createMetrics({ status: () => agentStatus() });
  onDelivery({ sink: 'x', records: 1, startedMs: 0, durationMs: 1, outcome: 'partial' });
  const { types } = parseMetrics(await text());
  const rows = DOC.matchAll(/^\| `([a-z_]+)(?:\{[a-z,]+\})?` \| (counter|gauge|histogram) \|/gm);
  const documented = new Map([...rows].map(([, name, type]) => [name, type]));
  const own = [...types].filter(([name]) => name.startsWith('audit_'));
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(own));

  const process = [...types.keys()].filter((name) => !name.startsWith('audit_'));
  const named = new Set(DOC.match(/\b(?:process|nodejs)_[a-z0-9_]+/g));
  expect([...named].sort()).toEqual(process.sort());
});
