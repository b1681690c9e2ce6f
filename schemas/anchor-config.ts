/**
 * The anchors of the agent: places under other administrators that take its signed checkpoints. A part of the
 * configuration; docs/CONFIGURATION.md has the keys.
 */
import type { ArchiveAddress, ArchiveLock } from './archive-config.ts';
import type { TlsClientConfig } from './exporter-base.ts';

interface AnchorBase {
  /** Unique among all anchors; in log, metrics and evidence after its kind: `witness/berlin`. */
  readonly name: string;
}

/** A C2SP witness: it alone checks that each checkpoint continues the one before. */
export interface WitnessAnchorConfig extends AnchorBase {
  /** Submission prefix: http(s). */
  readonly url: string;
  /** Its public key, type 0x04, as `sealtrail witness` prints it. */
  readonly vkey: string;
  readonly tls?: TlsClientConfig;
}

/** An RFC 3161 time-stamping authority. It states a time and remembers nothing. */
export interface TimestampAnchorConfig extends AnchorBase {
  readonly url: string;
  /** Certificates that its chain must end in, PEM. */
  readonly ca_file: string;
  readonly tls?: TlsClientConfig;
}

/** A table in a PostgreSQL of another administrator, that the agent may only insert into. */
export interface PostgresqlAnchorConfig extends AnchorBase {
  readonly url: string;
  readonly tls?: TlsClientConfig;
}

/** A file on another mount, only ever appended to. */
export interface FileAnchorConfig extends AnchorBase {
  readonly path: string;
}

/** A bucket under Object Lock, as for the archive. */
export interface ObjectAnchorConfig extends AnchorBase, ArchiveAddress, ArchiveLock {
  /** How long a checkpoint is locked. */
  readonly retain_days: number;
}

/** `anchors` of the configuration. */
export interface AnchorsConfig {
  /** Anchors that must have a checkpoint before it counts as anchored; 0 where there are none. */
  readonly quorum: number;
  /** For one answer of one anchor. */
  readonly timeout_ms: number;
  /** How long a start waits for anchors to say what they hold. */
  readonly start_timeout_ms: number;
  /** Pauses after failures, with full jitter. */
  readonly retry: { readonly initial_ms: number; readonly max_ms: number };
  readonly witness: readonly WitnessAnchorConfig[];
  readonly timestamp: readonly TimestampAnchorConfig[];
  readonly postgresql: readonly PostgresqlAnchorConfig[];
  readonly file: readonly FileAnchorConfig[];
  readonly object: readonly ObjectAnchorConfig[];
}
