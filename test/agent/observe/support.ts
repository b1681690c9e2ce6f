/** A status to start from, a log that keeps its lines, and a reader of Prometheus text. */
import type { Logger } from '../../../agent/ports.ts';
import type { AgentStatus, AppendStatus, SinkStatus } from '../../../agent/status-ports.ts';

export function appendStatus(changes: Partial<AppendStatus> = {}): AppendStatus {
  return {
    records: 1200,
    ledger_bytes: 900_000,
    segment: '0',
    streams: [],
    queue_events: 7,
    queue_events_max: 100,
    last_fsync_ms: 0.4,
    last_fsync_at: '2026-03-01T09:00:00.000Z',
    state: 'ready',
    last_error: null,
    ...changes,
  };
}

export function sinkStatus(name: string, changes: Partial<SinkStatus> = {}): SinkStatus {
  return {
    name,
    type: 'file',
    required: true,
    state: 'delivering',
    cursor: 1000,
    lag_records: 200,
    lag_seconds: 1.5,
    delivered_total: 1000,
    retries_total: 3,
    skipped_total: 0,
    dead_letters: 2,
    last_error: null,
    last_error_at: null,
    ...changes,
  };
}

export function agentStatus(changes: Partial<AgentStatus> = {}): AgentStatus {
  return {
    agent: 'test',
    version: '1.2.3',
    pid: 1,
    started_at: '2026-03-01T08:00:00.000Z',
    data_dir: '/data',
    vocabulary_file: '/vocabulary.json',
    append: appendStatus(),
    rollback: null,
    disk: {
      used_ratio: 0.72,
      bound: 'quota',
      ledger_bytes: 720_000,
      quota_bytes: 1_000_000,
      filesystem_bytes: 9_000_000,
      filesystem_free_bytes: 8_000_000,
      bytes_left: 280_000,
      bytes_per_second: 0,
      seconds_left: null,
    },
    checkpoints: {
      state: 'running',
      records: 1150,
      lag_records: 50,
      streams: 2,
      signed_at: '2026-03-01T09:00:00.000Z',
      anchor_origin: 'sealtrail/test/0',
      anchor_size: 17,
      anchored_at: '2026-03-01T08:59:30.000Z',
      anchors: {
        quorum: 2,
        quorum_size: 3,
        quorum_at: '2026-03-01T00:00:00.000Z',
        members: [
          {
            name: 'witness/berlin',
            state: 'taking',
            size: 3,
            anchored_at: '2026-03-01T00:00:00.000Z',
            failures_total: 0,
            last_error: null,
          },
        ],
      },
      last_error: null,
    },
    sinks: [sinkStatus('postgresql'), sinkStatus('file/ecs', { required: false })],
    acks_total: 0,
    nacks_total: {},
    last_error: null,
    ...changes,
  };
}

export interface KeptLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

export function createKeptLog(): Logger & { readonly lines: KeptLine[] } {
  const lines: KeptLine[] = [];
  const at =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push({ level, fields, message });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export interface Exposition {
  /** Names with their types, as declared. */
  readonly types: ReadonlyMap<string, string>;
  /** Sample as written (`name{label="value"}`) to its value. */
  readonly samples: ReadonlyMap<string, number>;
}

/** Reads exposition text 0.0.4; throws on a line that is none. */
export function parseMetrics(text: string): Exposition {
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const type = /^# TYPE ([a-z0-9_]+) (counter|gauge|histogram|summary)$/.exec(line);
    const sample = /^([a-z0-9_]+(?:\{(?:[a-z_]+="[^"\n]*",?)*\})?) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1]!, type[2]!);
    else if (sample !== null) samples.set(sample[1]!, Number(sample[2]));
    else if (line !== '' && !line.startsWith('# HELP ')) throw new Error(`not a sample: ${line}`);
  }
  return { types, samples };
}
