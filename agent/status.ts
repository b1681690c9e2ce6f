/** The status of the whole agent, put together from those of its stages whenever somebody asks. */
import type { Config } from '../schemas/config.ts';
import type { Checkpoints } from './checkpoint/checkpoints.ts';
import type { AgentStatus, AppendStatus, DiskStatus, SinkStatus } from './status-ports.ts';
import { VERSION } from './version.ts';

export interface StatusView {
  /** Set by the wiring as the stages come up. */
  append: { status(): AppendStatus } | null;
  /** Why this process began a new incarnation, where the ledger was put back or lives twice. */
  rollback: string | null;
  disk: { status(): DiskStatus | null } | null;
  checkpoints: Omit<Checkpoints, 'stop'> | null;
  delivery: { status(): readonly SinkStatus[]; notifyDurable(records: number): void } | null;
  /** Records that are fsynced. */
  durable: number;
  /** The vocabulary in force. */
  vocabularyFile: string;
  readonly status: () => AgentStatus;
}

const STARTING: AppendStatus = {
  records: 0,
  ledger_bytes: 0,
  segment: '',
  streams: [],
  queue_events: 0,
  queue_events_max: 0,
  last_fsync_ms: null,
  last_fsync_at: null,
  state: 'stopped',
  last_error: null,
};

/** Creates the view of an agent that is starting. */
export function createStatus(
  config: Config,
  totals: () => Pick<AgentStatus, 'acks_total' | 'nacks_total'>,
): StatusView {
  const startedAt = new Date().toISOString();
  const view: StatusView = {
    append: null,
    rollback: null,
    disk: null,
    checkpoints: null,
    delivery: null,
    durable: 0,
    vocabularyFile: config.agent.vocabulary_file,
    status: () => {
      const append = view.append?.status() ?? STARTING;
      const sinks = view.delivery?.status() ?? [];
      return {
        agent: config.agent.name,
        version: VERSION,
        pid: process.pid,
        started_at: startedAt,
        data_dir: config.data_dir,
        vocabulary_file: view.vocabularyFile,
        append,
        disk: view.disk?.status() ?? null,
        rollback: view.rollback,
        checkpoints: view.checkpoints?.status() ?? null,
        sinks,
        ...totals(),
        last_error: append.last_error ?? newestError(sinks),
      };
    },
  };
  return view;
}

function newestError(sinks: readonly SinkStatus[]): string | null {
  let newest: SinkStatus | null = null;
  for (const sink of sinks) {
    if (sink.last_error === null) continue;
    if ((sink.last_error_at ?? '') >= (newest?.last_error_at ?? '')) newest = sink;
  }
  return newest === null ? null : `${newest.name}: ${newest.last_error ?? ''}`;
}
