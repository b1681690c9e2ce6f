/**
 * The configuration after parsing: what `sealtrail.yaml` says, defaults filled in, paths absolute.
 * config.schema.json is the contract for the file itself.
 */
import type { CheckpointConfig } from './checkpoint-config.ts';
/** How a listener proves who it is, and whom it asks to. */
export interface TlsServerConfig {
  readonly cert_file: string;
  readonly key_file: string;
  /** Set: clients MUST present a certificate signed by one of these. */
  readonly client_ca_file?: string;
}

/** How a connection to a sink is secured. */
export interface TlsClientConfig {
  readonly ca_file?: string;
  readonly cert_file?: string;
  readonly key_file?: string;
  readonly server_name?: string;
  readonly insecure_skip_verify: boolean;
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

interface ExporterBase {
  /** As named in the file: `postgresql`, `file/ecs`, … */
  readonly name: string;
  readonly batch_records_max: number;
  readonly batch_bytes_max: number;
  readonly timeout_ms: number;
  readonly retry: RetryConfig;
  /** A required sink holds back segment deletion; a best-effort one does not. */
  readonly required: boolean;
  /** Only of a best-effort sink; absent: it never skips. */
  readonly bound?: BoundConfig;
}

/** The store of record. */
export interface PostgresqlExporterConfig extends ExporterBase {
  readonly type: 'postgresql';
  /** True: the agent runs a real PostgreSQL of its own below the data directory. */
  readonly embedded: boolean;
  /** Port of the embedded server; 0 picks a free one and keeps it. */
  readonly port: number;
  /** Connection URL of the writer role where not embedded. */
  readonly url?: string;
  /** Connection URL of the owner, for migrations; absent: migrations are the operator's. */
  readonly owner_url?: string;
  readonly tls?: TlsClientConfig;
}

/** A growing NDJSON file. */
export interface FileExporterConfig extends ExporterBase {
  readonly type: 'file';
  readonly path: string;
  readonly format: 'ecs' | 'ocsf' | 'native';
  /** Absent: one file for ever. */
  readonly rotate?: FileRotation;
}

/** When a file gives way to a new one, and how many of the old ones stay. */
export interface FileRotation {
  readonly bytes?: number;
  readonly interval_minutes?: number;
  readonly keep?: number;
}

/** Elasticsearch, over `_bulk`. */
export interface ElasticsearchExporterConfig extends ExporterBase {
  readonly type: 'elasticsearch';
  readonly endpoints: readonly string[];
  readonly data_stream: string;
  readonly format: 'ecs' | 'ocsf';
  readonly api_key?: string;
  readonly username?: string;
  readonly password?: string;
  readonly gzip: boolean;
  readonly tls?: TlsClientConfig;
}

/** What sinks over HTTP have in common. */
export interface HttpExporterConfig extends ExporterBase {
  readonly endpoints: readonly string[];
  readonly gzip: boolean;
  readonly tls?: TlsClientConfig;
}

/** Splunk, over its HTTP Event Collector. */
export interface SplunkExporterConfig extends HttpExporterConfig {
  readonly type: 'splunk';
  readonly token: string;
  readonly format: 'ecs' | 'ocsf' | 'native';
  readonly index?: string;
  readonly source: string;
  readonly sourcetype: string;
  readonly host?: string;
  /** Whether a batch is confirmed by the indexers, or as soon as it is in a queue. */
  readonly acknowledge: boolean;
  readonly ack_timeout_ms: number;
}

/** An OpenTelemetry Collector, or what takes its logs. */
export interface OtlpExporterConfig extends HttpExporterConfig {
  readonly type: 'otlp';
  readonly encoding: 'protobuf' | 'json';
  /** Form of the record's body. */
  readonly format: 'ecs' | 'ocsf' | 'native';
  readonly headers: Readonly<Record<string, string>>;
}

/** Signed batches to anybody's endpoint. */
export interface WebhookExporterConfig extends HttpExporterConfig {
  readonly type: 'webhook';
  readonly secret: string;
  readonly encoding: 'ndjson' | 'json';
  readonly format: 'ecs' | 'ocsf' | 'native';
  readonly headers: Readonly<Record<string, string>>;
}

/** RFC 5424 syslog over TLS or TCP. */
export interface SyslogExporterConfig extends ExporterBase {
  readonly type: 'syslog';
  /** host:port. */
  readonly endpoint: string;
  readonly transport: 'tls' | 'tcp';
  /** True: TCP may leave this host. */
  readonly insecure: boolean;
  /** True: a batch counts once the receiver has read all of a connection and closed it. */
  readonly confirm: boolean;
  readonly format: 'ecs' | 'ocsf';
  readonly facility: number;
  readonly app_name: string;
  readonly message_bytes_max: number;
  readonly tls?: TlsClientConfig;
}

/** Kafka, or what speaks its protocol. */
export interface KafkaExporterConfig extends ExporterBase {
  readonly type: 'kafka';
  /** host:port each. */
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly key: 'stream' | 'tenant';
  readonly format: 'ecs' | 'ocsf' | 'native';
  readonly idempotent: boolean;
  readonly gzip: boolean;
  readonly transport: 'tls' | 'tcp';
  /** True: TCP may leave this host. */
  readonly insecure: boolean;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  readonly tls?: TlsClientConfig;
}

/** How to reach NATS, and as whom. */
export interface NatsConnectionConfig {
  /** nats://host:port or tls://host:port. */
  readonly servers: readonly string[];
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  /** User's credentials: JWT and seed, as nsc writes them. */
  readonly creds_file?: string;
  /** User's nkey seed. */
  readonly nkey_file?: string;
  /** First token of the subjects that answers come on. */
  readonly inbox_prefix: string;
  readonly tls?: TlsClientConfig;
}

/** NATS JetStream: the sealed records, verbatim, on their way to gateways. */
export interface NatsExporterConfig extends ExporterBase, NatsConnectionConfig {
  readonly type: 'nats';
  /** JetStream stream that must take them. */
  readonly stream: string;
  readonly subject_prefix: string;
}

/** Any exporter, told apart by `type`. */
export type ExporterConfig =
  | PostgresqlExporterConfig
  | FileExporterConfig
  | ElasticsearchExporterConfig
  | SplunkExporterConfig
  | OtlpExporterConfig
  | WebhookExporterConfig
  | SyslogExporterConfig
  | KafkaExporterConfig
  | NatsExporterConfig;

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
  readonly processors: { readonly redaction: { readonly sensitive_keys: readonly string[] } };
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
  readonly keys: {
    /** HMAC key for redaction tokens, hex, 32 bytes or more. */
    readonly redaction_key_file: string;
    /** Ed25519 private key, PKCS#8 PEM. */
    readonly signing_key_file: string;
    readonly generate: boolean;
  };
  readonly checkpoints: CheckpointConfig;
  readonly tenants: readonly TenantConfig[];
  readonly retention: { readonly classes: { readonly [name: string]: RetentionClassConfig } };
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
