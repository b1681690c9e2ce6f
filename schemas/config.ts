/**
 * The configuration after parsing: what `sealtrail.yaml` says, defaults filled in, paths absolute.
 * config.schema.json is the contract for the file itself.
 */
import type { AnchorsConfig } from './anchor-config.ts';
import type { CheckpointConfig } from './checkpoint-config.ts';
import type { ExporterConfig } from './exporter-config.ts';
import type { KeysConfig } from './keys-config.ts';

/** How a listener proves who it is, and whom it asks to. */
export interface TlsServerConfig {
  readonly cert_file: string;
  readonly key_file: string;
  /** Set: clients MUST present a certificate signed by one of these. */
  readonly client_ca_file?: string;
}

/** The unix socket: the SDK's way in. */
export interface SocketReceiverConfig {
  readonly path: string;
  /** File mode of the socket, octal text: "0660". */
  readonly mode: string;
  /** Tenants this socket may write for; ["*"] is every declared one. */
  readonly tenants: readonly string[];
  readonly connections_max: number;
}

/** A producer's public key, for the proofs that its records carry. */
export interface TrustedKeyConfig {
  /** Key id as clients send it; absent: known by certificate fingerprint, or the key for no reference. */
  readonly reference?: string;
  /** X.509 certificate or SPKI public key, PEM. */
  readonly pem: string;
}

/** The OTLP/HTTP receiver. */
export interface OtlpReceiverConfig {
  /** host:port. Beyond loopback TLS and a bearer token (or client certificates) are required. */
  readonly endpoint: string;
  readonly tenants: readonly string[];
  /** Tenant of a record that names none; absent: such a record is refused. */
  readonly default_tenant?: string;
  readonly tls?: TlsServerConfig;
  readonly bearer_tokens?: readonly {
    readonly token: string;
    readonly tenants: readonly string[];
  }[];
  /** Absent: proofs are stored, and answered as deferred. */
  readonly trusted_keys?: readonly TrustedKeyConfig[];
  readonly body_bytes_max: number;
}

/** A tenant whose events the agent takes. */
export interface TenantConfig {
  readonly id: string;
}

/** How long records of a class are kept, and which rule asks for it. */
export interface RetentionClassConfig {
  readonly regime: string;
  readonly days: number;
}

/** All of it. */
export interface Config {
  readonly data_dir: string;
  readonly agent: { readonly name: string; readonly vocabulary_file: string };
  readonly receivers: {
    readonly socket?: SocketReceiverConfig;
    readonly otlp?: OtlpReceiverConfig;
  };
  readonly processors: {
    readonly redaction: {
      readonly sensitive_keys: readonly string[];
      /** In actor and resource; everywhere else they are tokens. */
      readonly keep_emails: boolean;
    };
  };
  readonly exporters: readonly ExporterConfig[];
  readonly ledger: {
    /** A segment is cut when it would pass this size. */
    readonly segment_bytes: number;
    /** Largest group commit, in bytes of records. */
    readonly batch_bytes_max: number;
    /** Events waiting for a commit; at this many receivers stop reading. */
    readonly queue_events_max: number;
    /** Kept aside so that "disk full" itself can be recorded. */
    readonly reserve_bytes: number;
    /** Most space for the ledger: bytes, or "80%" of its file system; absent: the file system. */
    readonly quota?: number | string;
    /** Outside data_dir: how far the ledger has come; absent: none is kept. */
    readonly head_file?: string;
  };
  readonly keys: KeysConfig;
  readonly checkpoints: CheckpointConfig;
  readonly anchors: AnchorsConfig;
  readonly tenants: readonly TenantConfig[];
  readonly retention: {
    readonly classes: { readonly [name: string]: RetentionClassConfig };
    /** How long the ledger keeps a segment that everybody has; absent: for ever. */
    readonly local_days?: number;
  };
  readonly service: {
    readonly telemetry: {
      /** host:port of /healthz, /readyz, /metrics; loopback only. */
      readonly admin_endpoint: string;
      readonly log_level: 'debug' | 'info' | 'warn' | 'error';
      /** OTLP/HTTP endpoint for the agent's own traces; absent: none. */
      readonly traces_endpoint?: string;
    };
    /** The embedded database included. */
    readonly shutdown_timeout_ms: number;
  };
}
