/**
 * What each stage tells of itself: the parts of the agent's status. Stages and readers of the status import
 * these as they do ports.ts.
 */

export interface SinkStatus {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly state: 'delivering' | 'idle' | 'retrying' | 'stopped';
  /** Next record number to send. */
  readonly cursor: number;
  readonly lag_records: number;
  /** Age of the oldest undelivered record; 0 when none. */
  readonly lag_seconds: number;
  readonly delivered_total: number;
  readonly retries_total: number;
  /** Records that a best-effort sink gave up because of its bound. */
  readonly skipped_total: number;
  readonly dead_letters: number;
  readonly last_error: string | null;
  readonly last_error_at: string | null;
}

export interface AppendStatus {
  /** Records in the ledger, fsynced. */
  readonly records: number;
  readonly ledger_bytes: number;
  readonly segment: string;
  readonly streams: readonly {
    readonly stream: string;
    readonly tenant: string;
    readonly next_seq: number;
    readonly head_hash: string;
  }[];
  readonly queue_events: number;
  readonly queue_events_max: number;
  readonly last_fsync_ms: number | null;
  readonly last_fsync_at: string | null;
  readonly state: 'ready' | 'disk_full' | 'failed' | 'stopped';
  readonly last_error: string | null;
}

/** How full the ledger's disk is, and how long it lasts. */
export interface DiskStatus {
  /** 0 to 1, of whichever bound is met first: ledger.quota or the file system. */
  readonly used_ratio: number;
  readonly bound: 'quota' | 'filesystem';
  /** Everything in the ledger's folder. */
  readonly ledger_bytes: number;
  /** Null without a quota. */
  readonly quota_bytes: number | null;
  readonly filesystem_bytes: number;
  readonly filesystem_free_bytes: number;
  /** What the ledger may still take. */
  readonly bytes_left: number;
  /** Growth of the ledger over the last ten minutes at most. */
  readonly bytes_per_second: number;
  /** Until the bound is met at the present rate; null while nothing grows. */
  readonly seconds_left: number | null;
}

/** Which checkpoints of the anchor log others have. */
export interface AnchorsStatus {
  readonly quorum: number;
  /** The newest that a quorum has, and when that was reached; 0 and null: not since this start. */
  readonly quorum_size: number;
  readonly quorum_at: string | null;
  readonly members: readonly {
    readonly name: string;
    /** conflict: it holds this log as another agent goes on with it. */
    readonly state: 'taking' | 'failing' | 'conflict';
    readonly size: number;
    readonly anchored_at: string | null;
    readonly failures_total: number;
    readonly last_error: string | null;
  }[];
}

/** How far the ledger is under signed checkpoints. */
export interface CheckpointStatus {
  /**
   * retrying: its disk or its files fail, it tries again. contradicted: a stream, or the anchor log, is not
   * what was signed; the others are signed on.
   */
  readonly state: 'starting' | 'running' | 'retrying' | 'contradicted' | 'stopped';
  /** Records of the ledger, from its first, that are under a signed checkpoint of their stream. */
  readonly records: number;
  readonly lag_records: number;
  readonly streams: number;
  /** Null: not since this start. */
  readonly signed_at: string | null;
  readonly anchor_origin: string;
  readonly anchor_size: number;
  readonly anchored_at: string | null;
  /** Null where none is configured, or the thread is starting. */
  readonly anchors: AnchorsStatus | null;
  readonly last_error: string | null;
}

/** What `sealtrail status --json` prints; GET /status on the admin socket. */
export interface AgentStatus {
  readonly agent: string;
  readonly version: string;
  readonly pid: number;
  readonly started_at: string;
  readonly data_dir: string;
  /** The action vocabulary in force; `sealtrail emit` reads it. */
  readonly vocabulary_file: string;
  readonly append: AppendStatus;
  /** Null until it has been measured. */
  readonly disk: DiskStatus | null;
  /** What showed this process that its ledger is, or has, an older copy; null else. */
  readonly rollback: string | null;
  /** Null while they are switched off, or the thread is starting. */
  readonly checkpoints: CheckpointStatus | null;
  readonly sinks: readonly SinkStatus[];
  readonly acks_total: number;
  readonly nacks_total: { readonly [kind: string]: number };
  readonly last_error: string | null;
}
