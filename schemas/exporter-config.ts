/** The sinks and how they are reached, a part of the configuration. */
import type { S3ExporterConfig } from './archive-config.ts';
import type { ExporterBase, TlsClientConfig } from './exporter-base.ts';

export type { BoundConfig, ExporterBase, RetryConfig, TlsClientConfig } from './exporter-base.ts';

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
  | NatsExporterConfig
  | S3ExporterConfig;
