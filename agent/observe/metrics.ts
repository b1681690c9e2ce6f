/**
 * Metrics of the agent in Prometheus form. The stages count into plain numbers and histograms, once a
 * batch; everything that can be read off the status is read when somebody scrapes. docs/OBSERVE.md
 * lists the names, and a test holds the two together.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DeliveryReport, Meter } from '../ports.ts';
import type { AgentStatus } from '../status-ports.ts';
import { boundNackKind, NACK_KINDS } from './nack-kinds.ts';
import { createStatusMetrics } from './status-metrics.ts';

export interface Metrics {
  /** Handed to the stages. */
  readonly meter: Meter;
  onDelivery(report: DeliveryReport): void;
  totals(): Pick<AgentStatus, 'acks_total' | 'nacks_total'>;
  /** The exposition text, version 0.0.4. */
  text(): Promise<string>;
  readonly contentType: string;
}

const BATCH_RECORDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const KIB = 1024;
const BATCH_BYTES = [1, 4, 16, 64, 256, 1024, 4096, 16_384].map((kib) => kib * KIB);
/** From a write cache to a disk in trouble. */
const FSYNC_SECONDS = [
  0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
  2.5,
];
const DELIVERY_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Creates the metrics on a registry of their own. `status` is called once per scrape. */
export function createMetrics(options: { readonly status: () => AgentStatus }): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counts = createCounts(registry);
  const commits = createCommitMetrics(registry);
  const showStatus = createStatusMetrics(registry);
  const deliveries = new Histogram({
    name: 'audit_deliver_batch_seconds',
    help: 'Time a sink took for one batch, by outcome.',
    labelNames: ['sink', 'outcome'],
    buckets: DELIVERY_SECONDS,
    registers: [registry],
  });

  return {
    meter: { ...counts.meter, commit: commits.observe },
    onDelivery: ({ sink, outcome, durationMs }) => {
      deliveries.observe({ sink, outcome }, durationMs / 1000);
    },
    totals: counts.totals,
    text: async () => {
      showStatus(options.status());
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

interface Counts {
  readonly meter: Omit<Meter, 'commit'>;
  readonly totals: Metrics['totals'];
}

/** Counts of the receivers and of producers; plain numbers that a scrape copies. */
function createCounts(registry: Registry): Counts {
  const nacks = new Map<string, number>();
  let acks = 0;
  let gaps = 0;
  let connections = 0;
  const registers = [registry];
  new Counter({
    name: 'audit_receive_acks_total',
    help: 'Events acked: durable in the ledger, or known from before.',
    registers,
    collect() {
      this.reset();
      this.inc(acks);
    },
  });
  new Counter({
    name: 'audit_receive_nacks_total',
    help: 'Events, frames and requests that were refused, by kind.',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      // Kinds that have not occurred stand at 0: only then does rate() see the first one.
      for (const kind of NACK_KINDS) this.inc({ kind }, nacks.get(kind) ?? 0);
    },
  });
  new Gauge({
    name: 'audit_receive_connections',
    help: 'Open connections to the receivers.',
    registers,
    collect() {
      this.set(connections);
    },
  });
  new Counter({
    name: 'audit_producer_gaps_total',
    help: 'Event numbers of producers that never arrived and were not refused.',
    registers,
    collect() {
      this.reset();
      this.inc(gaps);
    },
  });
  return {
    meter: {
      acks: (count) => void (acks += count),
      nacks: (kind, count) => {
        const bound = boundNackKind(kind);
        nacks.set(bound, (nacks.get(bound) ?? 0) + count);
      },
      producerGap: (count) => void (gaps += count),
      connection: (change) => void (connections += change),
    },
    totals: () => ({ acks_total: acks, nacks_total: Object.fromEntries(nacks) }),
  };
}

function createCommitMetrics(registry: Registry): { readonly observe: Meter['commit'] } {
  const registers = [registry];
  const records = new Histogram({
    name: 'audit_append_batch_records',
    help: 'Records per group commit.',
    buckets: BATCH_RECORDS,
    registers,
  });
  const bytes = new Histogram({
    name: 'audit_append_batch_bytes',
    help: 'Bytes per group commit.',
    buckets: BATCH_BYTES,
    registers,
  });
  const fsync = new Histogram({
    name: 'audit_append_fsync_seconds',
    help: 'Time of the fdatasync of a group commit.',
    buckets: FSYNC_SECONDS,
    registers,
  });
  return {
    observe: (recordCount, byteCount, fsyncSeconds) => {
      records.observe(recordCount);
      bytes.observe(byteCount);
      fsync.observe(fsyncSeconds);
    },
  };
}
