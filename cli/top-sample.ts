/** What `sealtrail top` shows: two readings of an agent made into one sample. Pure. */
import type { AgentStatus, SinkStatus } from '../agent/status-ports.ts';
import { quantileBetween, type Samples } from './top-metrics.ts';

/** What was asked of the agent and its disk at one moment. */
export interface Reading {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly status: AgentStatus;
  readonly metrics: Samples;
  /** Of the file system under the data directory; null: it cannot be asked from here. */
  readonly disk: { readonly free_bytes: number; readonly total_bytes: number } | null;
}

export interface SinkSample {
  readonly name: string;
  readonly state: string;
  /** As the sink reports it; null: it has none. */
  readonly breaker: string | null;
  readonly lag_records: number;
  readonly lag_seconds: number;
  readonly delivered_per_s: number | null;
  readonly retries_per_s: number | null;
  readonly skipped_total: number;
  readonly dead_letters: number;
  readonly last_error: string | null;
}

/** One line of `top --json`. Rates and quantiles are of the time since the sample before; null: not known. */
export interface TopSample {
  readonly at: string;
  readonly agent: string;
  readonly state: string;
  readonly uptime_s: number;
  readonly records: number;
  readonly ledger_bytes: number;
  readonly acks_per_s: number | null;
  readonly refused_per_s: number | null;
  readonly refused_total: number;
  readonly commits_per_s: number | null;
  readonly bytes_per_s: number | null;
  readonly fsync_p50_ms: number | null;
  readonly fsync_p99_ms: number | null;
  readonly last_fsync_ms: number | null;
  readonly queue_events: number;
  readonly queue_events_max: number;
  readonly disk_free_bytes: number | null;
  readonly disk_total_bytes: number | null;
  /** At the rate of this sample. */
  readonly disk_full_in_s: number | null;
  readonly cpu_share: number | null;
  readonly rss_bytes: number | null;
  readonly sinks: readonly SinkSample[];
  readonly last_error: string | null;
}

const FSYNC = 'audit_append_fsync_seconds';

/** The sample of a reading; `before` null: there is no rate yet. An agent that was restarted has none either. */
export function sampleOf(now: Reading, before: Reading | null): TopSample {
  const { status, metrics, disk } = now;
  const { append } = status;
  const past = before !== null && before.status.pid === status.pid ? before : null;
  const rate = createRate(now, past);
  const quantileMs = (quantile: number): number | null => {
    const found = past && quantileBetween(past.metrics, metrics, FSYNC, quantile);
    return found === null || !Number.isFinite(found) ? null : found * 1000;
  };
  const refused = refusedOf(status);
  const bytesPerS = rate((one) => one.status.append.ledger_bytes);
  return {
    at: new Date(now.atMs).toISOString(),
    agent: status.agent,
    state: append.state,
    uptime_s: Math.max(0, Math.round((now.atMs - Date.parse(status.started_at)) / 1000)),
    records: append.records,
    ledger_bytes: append.ledger_bytes,
    acks_per_s: rate((one) => one.status.acks_total),
    refused_per_s: rate((one) => refusedOf(one.status)),
    refused_total: refused,
    commits_per_s: rate((one) => one.metrics.get(`${FSYNC}_count`) ?? 0),
    bytes_per_s: bytesPerS,
    fsync_p50_ms: quantileMs(0.5),
    fsync_p99_ms: quantileMs(0.99),
    last_fsync_ms: append.last_fsync_ms,
    queue_events: append.queue_events,
    queue_events_max: append.queue_events_max,
    disk_free_bytes: disk?.free_bytes ?? null,
    disk_total_bytes: disk?.total_bytes ?? null,
    disk_full_in_s: disk !== null && bytesPerS ? Math.round(disk.free_bytes / bytesPerS) : null,
    cpu_share: rate((one) => one.metrics.get('process_cpu_seconds_total') ?? 0),
    rss_bytes: metrics.get('process_resident_memory_bytes') ?? null,
    sinks: status.sinks.map((sink) => sinkSample(sink, rate)),
    last_error: status.last_error,
  };
}

type Rate = (count: (reading: Reading) => number) => number | null;

function createRate(now: Reading, past: Reading | null): Rate {
  return (count) => {
    if (past === null || now.atMs <= past.atMs) return null;
    const gained = count(now) - count(past);
    // Counts that fell are counts of something else: a reload began the sink again.
    return gained < 0 ? null : (gained * 1000) / (now.atMs - past.atMs);
  };
}

function sinkSample(sink: SinkStatus, rate: Rate): SinkSample {
  const ofSink = (count: (one: SinkStatus) => number): number | null =>
    rate(({ status }) => {
      const found = status.sinks.find(({ name }) => name === sink.name);
      return found === undefined ? 0 : count(found);
    });
  const { name, state, lag_records, lag_seconds, skipped_total, dead_letters, last_error } = sink;
  return {
    name,
    state,
    breaker: 'breaker' in sink && typeof sink.breaker === 'string' ? sink.breaker : null,
    lag_records,
    lag_seconds,
    delivered_per_s: ofSink((one) => one.delivered_total),
    retries_per_s: ofSink((one) => one.retries_total),
    skipped_total,
    dead_letters,
    last_error,
  };
}

function refusedOf({ nacks_total }: AgentStatus): number {
  return Object.values(nacks_total).reduce((sum, count) => sum + count, 0);
}
