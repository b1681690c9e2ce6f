/** What exporters have in common, a part of the configuration. */

/** How a connection to a sink is secured. */
export interface TlsClientConfig {
  readonly ca_file?: string;
  readonly cert_file?: string;
  readonly key_file?: string;
  readonly server_name?: string;
  readonly insecure_skip_verify: boolean;
}

/** Pauses between attempts, with full jitter. */
export interface RetryConfig {
  readonly initial_ms: number;
  readonly max_ms: number;
  /** 0: no bound (the default). Beyond it a record goes to the dead-letter queue. */
  readonly attempts_max: number;
}

/** How far a best-effort sink may fall behind before it skips; each limit counts by itself. */
export interface BoundConfig {
  readonly records?: number;
  /** Of the records' text in the ledger. */
  readonly bytes?: number;
  /** Since the agent received the oldest record that is not delivered. */
  readonly age_ms?: number;
}

/** What every exporter has. */
export interface ExporterBase {
  /** As named in the file: `postgresql`, `file/ecs`, … */
  readonly name: string;
  readonly batch_records_max: number;
  readonly batch_bytes_max: number;
  readonly timeout_ms: number;
  readonly retry: RetryConfig;
  /** A required sink skips nothing; a best-effort one may have a bound. Segments wait for both. */
  readonly required: boolean;
  /** Only of a best-effort sink; absent: it never skips. */
  readonly bound?: BoundConfig;
}
