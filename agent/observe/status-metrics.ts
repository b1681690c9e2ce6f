/** Metrics that are read off the agent's status when somebody scrapes: ledger, queue, sinks. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { createAnchorMetrics } from './anchor-metrics.ts';
import type {
  AgentStatus,
  AppendStatus,
  CheckpointStatus,
  DiskStatus,
  SinkStatus,
} from '../status-ports.ts';

const APPEND_STATES = [
  'ready',
  'disk_full',
  'failed',
  'stopped',
] as const satisfies readonly AppendStatus['state'][];
const SINK_STATES = [
  'idle',
  'delivering',
  'retrying',
  'stopped',
] as const satisfies readonly SinkStatus['state'][];
const CHECKPOINT_STATES = [
  'starting',
  'running',
  'retrying',
  'contradicted',
] as const satisfies readonly CheckpointStatus['state'][];

/** Registers them; the function that comes back copies a status into them. */
export function createStatusMetrics(registry: Registry): (status: AgentStatus) => void {
  const gauge = createGauges(registry);
  const build = gauge('audit_build_info', 'Always 1; the version of the running agent.', 'version');
  const rollbacks = gauge(
    'audit_ledger_rollbacks',
    '1 once this process noticed that its ledger is, or has, an older copy.',
  );
  const showAppend = createAppendMetrics(registry);
  const showDisk = createDiskMetrics(registry);
  const showCheckpoints = createCheckpointMetrics(registry);
  const showAnchors = createAnchorMetrics(registry);
  const showSinks = createSinkMetrics(registry);
  return (status) => {
    build.set({ version: status.version }, 1);
    rollbacks.set(status.rollback === null ? 0 : 1);
    showAppend(status.append);
    showDisk(status.disk);
    showCheckpoints(status.checkpoints);
    showAnchors(status.checkpoints?.anchors ?? null);
    showSinks(status.sinks);
  };
}

type Gauges = (name: string, help: string, ...labelNames: string[]) => Gauge;

function createGauges(registry: Registry): Gauges {
  return (name, help, ...labelNames) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
}

function createAppendMetrics(registry: Registry): (append: AppendStatus) => void {
  const gauge = createGauges(registry);
  const queue = gauge('audit_append_queue_events', 'Events that wait for a group commit.');
  const queueMax = gauge(
    'audit_append_queue_limit_events',
    'Size of the queue at which receivers stop reading.',
  );
  const state = gauge(
    'audit_append_state',
    '1 for the state that holds, 0 for the others.',
    'state',
  );
  const records = gauge('audit_ledger_records', 'Records in the ledger, fsynced.');
  const bytes = gauge('audit_ledger_bytes', 'Bytes of the ledger.');
  return (append) => {
    queue.set(append.queue_events);
    queueMax.set(append.queue_events_max);
    for (const each of APPEND_STATES) state.set({ state: each }, each === append.state ? 1 : 0);
    records.set(append.records);
    bytes.set(append.ledger_bytes);
  };
}

function createDiskMetrics(registry: Registry): (disk: DiskStatus | null) => void {
  const gauge = createGauges(registry);
  const ratio = gauge('audit_disk_used_ratio', 'Of ledger.quota or file system, the fuller one.');
  const left = gauge('audit_disk_left_bytes', 'Bytes that the ledger may still take.');
  const seconds = gauge(
    'audit_disk_left_seconds',
    'Until the disk is full at the present rate; +Inf while nothing grows.',
  );
  const quota = gauge('audit_disk_quota_bytes', 'The quota of the ledger; +Inf without one.');
  return (disk) => {
    if (disk === null) return;
    ratio.set(disk.used_ratio);
    left.set(disk.bytes_left);
    seconds.set(disk.seconds_left ?? Infinity);
    quota.set(disk.quota_bytes ?? Infinity);
  };
}

function createCheckpointMetrics(registry: Registry): (status: CheckpointStatus | null) => void {
  const gauge = createGauges(registry);
  const lag = gauge('audit_checkpoint_lag_records', 'Records under no signed checkpoint yet.');
  const size = gauge('audit_checkpoint_anchor_leaves', 'Leaves of the anchor log, as signed.');
  const anchored = gauge(
    'audit_checkpoint_anchored_timestamp_seconds',
    'When the anchor log was signed last; 0 before the first time.',
  );
  const state = gauge(
    'audit_checkpoint_state',
    '1 for the state that holds, 0 for the others.',
    'state',
  );
  return (status) => {
    if (status === null) return;
    lag.set(status.lag_records);
    size.set(status.anchor_size);
    anchored.set(status.anchored_at === null ? 0 : Date.parse(status.anchored_at) / 1000);
    for (const each of CHECKPOINT_STATES) state.set({ state: each }, +(each === status.state));
  };
}

function createSinkMetrics(registry: Registry): (sinks: readonly SinkStatus[]) => void {
  const gauge = createGauges(registry);
  const counter = (name: string, help: string): Counter =>
    new Counter({ name, help, labelNames: ['sink'], registers: [registry] });
  const lag = gauge('audit_deliver_lag_records', 'Records a sink has not confirmed.', 'sink');
  const age = gauge(
    'audit_deliver_lag_seconds',
    'Age of the oldest record a sink has not confirmed; 0 when there is none.',
    'sink',
  );
  const letters = gauge('audit_deliver_dead_letters', 'Records set aside for a sink.', 'sink');
  const state = gauge(
    'audit_deliver_state',
    '1 for the state that holds, 0 for the others.',
    'sink',
    'state',
  );
  const delivered = counter('audit_deliver_records_total', 'Records a sink has confirmed.');
  const retries = counter('audit_deliver_retries_total', 'Attempts after a failed one.');
  const skipped = counter('audit_deliver_skipped_total', 'Records given up because of a bound.');
  return (sinks) => {
    // Counters can only grow: what the sinks themselves have counted replaces the last copy. A sink
    // that a reload took away must not be shown with its last figures.
    for (const metric of [delivered, retries, skipped, lag, age, letters, state]) metric.reset();
    for (const { name: sink, ...status } of sinks) {
      lag.set({ sink }, status.lag_records);
      age.set({ sink }, status.lag_seconds);
      letters.set({ sink }, status.dead_letters);
      for (const each of SINK_STATES) state.set({ sink, state: each }, +(each === status.state));
      delivered.inc({ sink }, status.delivered_total);
      retries.inc({ sink }, status.retries_total);
      skipped.inc({ sink }, status.skipped_total);
    }
  };
}
