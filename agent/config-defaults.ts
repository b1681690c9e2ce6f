/**
 * Defaults of the configuration, by section. config.schema.json states the same ones for editors and
 * docs/CONFIGURATION.md for people; test/agent/config-defaults.test.ts compares all three.
 */
import type { S3ExporterConfig } from '../schemas/archive-config.ts';
import type { Config, OtlpReceiverConfig } from '../schemas/config.ts';
import type {
  ElasticsearchExporterConfig,
  FileExporterConfig,
  OtlpExporterConfig,
  NatsExporterConfig,
  PostgresqlExporterConfig,
  SplunkExporterConfig,
  WebhookExporterConfig,
  KafkaExporterConfig,
  SyslogExporterConfig,
} from '../schemas/exporter-config.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Relative to the working directory. */
export const DATA_DIR_DEFAULT = './data';
/** Relative to the configuration file. */
export const VOCABULARY_FILE_DEFAULT = 'vocabulary.json';
/** From the signal to the end, milliseconds. */
export const SHUTDOWN_TIMEOUT_MS_DEFAULT = 10_000;

export const SOCKET_DEFAULTS = {
  path: 'sealtrail.sock',
  mode: '0660',
  connections_max: 1024,
} as const;

export const OTLP_DEFAULTS: Pick<OtlpReceiverConfig, 'endpoint' | 'body_bytes_max'> = {
  endpoint: '127.0.0.1:4318',
  body_bytes_max: 4 * MIB,
};

export const LEDGER_DEFAULTS: Config['ledger'] = {
  segment_bytes: 64 * MIB,
  batch_bytes_max: 4 * MIB,
  queue_events_max: 16_384,
  reserve_bytes: MIB,
};

export const CHECKPOINTS_DEFAULTS: Config['checkpoints'] = {
  enabled: true,
  interval_ms: 1_000,
  records_max: 1_024,
  anchor_interval_ms: 60_000,
};

export const KEYS_DEFAULTS = {
  redaction_key_file: 'keys/redaction.key',
  signing_key_file: 'keys/signing.key',
  generate: true,
} as const;

/** Of a command that signs. */
export const SIGNER_TIMEOUT_MS_DEFAULT = 5_000;

export const TELEMETRY_DEFAULTS = { admin_endpoint: '127.0.0.1:9464', log_level: 'info' } as const;

export const RETRY_DEFAULTS = { initial_ms: 200, max_ms: 30_000, attempts_max: 0 } as const;

type DeliveryDefaults = Pick<
  FileExporterConfig,
  'batch_records_max' | 'batch_bytes_max' | 'timeout_ms' | 'required'
>;

/** Every sink holds back the deletion of segments unless it is told not to. */
const DELIVERY_DEFAULTS: DeliveryDefaults = {
  batch_records_max: 4_000,
  batch_bytes_max: 4 * MIB,
  timeout_ms: 30_000,
  required: true,
};

export const POSTGRESQL_DEFAULTS: DeliveryDefaults &
  Pick<PostgresqlExporterConfig, 'embedded' | 'port'> = {
  ...DELIVERY_DEFAULTS,
  timeout_ms: 60_000,
  embedded: true,
  port: 0,
};

export const FILE_DEFAULTS: DeliveryDefaults = DELIVERY_DEFAULTS;

export const ELASTICSEARCH_DEFAULTS: DeliveryDefaults &
  Pick<ElasticsearchExporterConfig, 'data_stream' | 'format' | 'gzip'> = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 1_000,
  data_stream: 'logs-sealtrail.audit-default',
  format: 'ecs',
  gzip: true,
};

export const SPLUNK_DEFAULTS: DeliveryDefaults &
  Pick<
    SplunkExporterConfig,
    'format' | 'source' | 'sourcetype' | 'acknowledge' | 'ack_timeout_ms' | 'gzip'
  > = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 1_000,
  batch_bytes_max: MIB,
  format: 'ecs',
  source: 'sealtrail',
  sourcetype: '_json',
  acknowledge: true,
  ack_timeout_ms: 120_000,
  gzip: true,
};

export const OTLP_SINK_DEFAULTS: DeliveryDefaults &
  Pick<OtlpExporterConfig, 'encoding' | 'format' | 'headers' | 'gzip'> = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 1_000,
  batch_bytes_max: 2 * MIB,
  encoding: 'protobuf',
  format: 'ecs',
  headers: {},
  gzip: true,
};

export const WEBHOOK_DEFAULTS: DeliveryDefaults &
  Pick<WebhookExporterConfig, 'encoding' | 'format' | 'headers' | 'gzip'> = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 500,
  batch_bytes_max: MIB,
  encoding: 'ndjson',
  format: 'native',
  headers: {},
  gzip: false,
};

export const SYSLOG_DEFAULTS: DeliveryDefaults &
  Omit<SyslogExporterConfig, 'name' | 'type' | 'endpoint' | 'retry' | 'tls'> = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 1_000,
  transport: 'tls',
  insecure: false,
  confirm: false,
  format: 'ecs',
  facility: 13,
  app_name: 'sealtrail',
  message_bytes_max: 8 * KIB,
};

export const KAFKA_DEFAULTS: DeliveryDefaults &
  Omit<KafkaExporterConfig, 'name' | 'type' | 'brokers' | 'retry' | 'tls' | 'sasl'> = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 1_000,
  // Brokers take batches of 1 MiB unless told otherwise, and a document is longer than its record.
  batch_bytes_max: 512 * KIB,
  topic: 'sealtrail.audit',
  key: 'stream',
  format: 'ecs',
  idempotent: true,
  gzip: true,
  transport: 'tls',
  insecure: false,
};

export const NATS_DEFAULTS: DeliveryDefaults &
  Pick<NatsExporterConfig, 'stream' | 'subject_prefix' | 'inbox_prefix'> = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 1_000,
  stream: 'SEALTRAIL',
  subject_prefix: 'sealtrail',
  inbox_prefix: '_INBOX',
};

export const S3_DEFAULTS: DeliveryDefaults &
  Pick<
    S3ExporterConfig,
    'prefix' | 'region' | 'path_style' | 'lock_mode' | 'segment_age_ms' | 'multipart_bytes'
  > = {
  ...DELIVERY_DEFAULTS,
  // A batch is an object of each retention class: large ones cost less, and fewer.
  batch_records_max: 50_000,
  batch_bytes_max: 32 * MIB,
  timeout_ms: 60_000,
  prefix: 'sealtrail/',
  region: 'us-east-1',
  path_style: false,
  lock_mode: 'compliance',
  segment_age_ms: 300_000,
  multipart_bytes: 16 * MIB,
};

/** The classes of the example vocabulary, each with the longest rule that asks for it. Leap days count. */
export const RETENTION_CLASSES_DEFAULT: Config['retention']['classes'] = {
  standard: { regime: 'PCI DSS 10.5.1: 12 months', days: 366 },
  financial: { regime: 'SOX, 17 CFR 210.2-06: 7 years', days: 2557 },
  health: { regime: 'HIPAA, 45 CFR 164.316(b)(2)(i): 6 years', days: 2192 },
  security: { regime: 'PCI DSS 10.5.1, and a second year by own policy', days: 731 },
};
