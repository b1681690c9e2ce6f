/**
 * Defaults of the configuration, by section. config.schema.json states the same ones for editors and
 * docs/CONFIGURATION.md for people; test/agent/config-defaults.test.ts compares all three.
 */
import type {
  Config,
  ElasticsearchExporterConfig,
  FileExporterConfig,
  NatsExporterConfig,
  OtlpReceiverConfig,
  PostgresqlExporterConfig,
} from '../schemas/config.ts';

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

export const KEYS_DEFAULTS: Config['keys'] = {
  redaction_key_file: 'keys/redaction.key',
  signing_key_file: 'keys/signing.key',
  generate: true,
};

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

export const NATS_DEFAULTS: DeliveryDefaults &
  Pick<NatsExporterConfig, 'stream' | 'subject_prefix' | 'inbox_prefix'> = {
  ...DELIVERY_DEFAULTS,
  batch_records_max: 1_000,
  stream: 'SEALTRAIL',
  subject_prefix: 'sealtrail',
  inbox_prefix: '_INBOX',
};

/** The classes of the example vocabulary, each with the longest rule that asks for it. Leap days count. */
export const RETENTION_CLASSES_DEFAULT: Config['retention']['classes'] = {
  standard: { regime: 'PCI DSS 10.5.1: 12 months', days: 366 },
  financial: { regime: 'SOX, 17 CFR 210.2-06: 7 years', days: 2557 },
  health: { regime: 'HIPAA, 45 CFR 164.316(b)(2)(i): 6 years', days: 2192 },
  security: { regime: 'PCI DSS 10.5.1, and a second year by own policy', days: 731 },
};
