/** From the form of the file to the Config of the agent: defaults filled in, every path absolute. */
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Config, TlsServerConfig } from '../schemas/config.ts';
import type {
  ExporterConfig,
  NatsExporterConfig,
  TlsClientConfig,
} from '../schemas/exporter-config.ts';
import { completeAnchors } from './config-anchors.ts';
import {
  CHECKPOINTS_DEFAULTS,
  DATA_DIR_DEFAULT,
  ELASTICSEARCH_DEFAULTS,
  FILE_DEFAULTS,
  KAFKA_DEFAULTS,
  LEDGER_DEFAULTS,
  NATS_DEFAULTS,
  OTLP_DEFAULTS,
  OTLP_SINK_DEFAULTS,
  POSTGRESQL_DEFAULTS,
  RETENTION_CLASSES_DEFAULT,
  RETRY_DEFAULTS,
  S3_DEFAULTS,
  SHUTDOWN_TIMEOUT_MS_DEFAULT,
  SOCKET_DEFAULTS,
  SPLUNK_DEFAULTS,
  SYSLOG_DEFAULTS,
  TELEMETRY_DEFAULTS,
  VOCABULARY_FILE_DEFAULT,
  WEBHOOK_DEFAULTS,
} from './config-defaults.ts';
import type {
  ConfigForm,
  ElasticsearchForm,
  FileForm,
  OtlpForm,
  PostgresqlForm,
  SplunkForm,
  WebhookForm,
  KafkaForm,
  SyslogForm,
  NatsForm,
  S3Form,
} from './config-form.ts';
import { completeKeys } from './config-keys.ts';

/** Fills in defaults. Paths are relative to data_dir, but for the two that lead there. */
export function completeConfig(form: ConfigForm, configFile: string): Config {
  const dataDir = resolve(form.data_dir ?? DATA_DIR_DEFAULT);
  const inData = (path: string): string => resolve(dataDir, path);
  const { vocabulary_file = VOCABULARY_FILE_DEFAULT, name = hostName() } = form.agent ?? {};
  const classes = form.retention?.classes ?? RETENTION_CLASSES_DEFAULT;
  return {
    data_dir: dataDir,
    agent: { name, vocabulary_file: resolve(dirname(configFile), vocabulary_file) },
    receivers: completeReceivers(form.receivers, inData),
    processors: {
      redaction: { sensitive_keys: [], keep_emails: true, ...form.processors?.redaction },
    },
    exporters: Object.entries(form.exporters).map(([exporter, given]) =>
      completeExporter(exporter, given, inData, classes),
    ),
    ledger: {
      ...LEDGER_DEFAULTS,
      ...form.ledger,
      ...(form.ledger?.head_file !== undefined && { head_file: inData(form.ledger.head_file) }),
    },
    keys: completeKeys(form.keys, inData),
    checkpoints: { ...CHECKPOINTS_DEFAULTS, ...form.checkpoints },
    anchors: completeAnchors(form.anchors, inData, clientTls),
    tenants: form.tenants,
    retention: { ...form.retention, classes },
    service: {
      telemetry: { ...TELEMETRY_DEFAULTS, ...form.service?.telemetry },
      shutdown_timeout_ms: form.service?.shutdown_timeout_ms ?? SHUTDOWN_TIMEOUT_MS_DEFAULT,
    },
  };
}

/** The host's name, in the characters that a stream's name takes. */
function hostName(): string {
  const name = hostname().replace(/[^A-Za-z0-9._-]/g, '-');
  return name.replace(/^[^A-Za-z0-9]+/, '').slice(0, 64) || 'sealtrail';
}

function completeReceivers(
  { socket, otlp }: ConfigForm['receivers'],
  inData: (path: string) => string,
): Config['receivers'] {
  return {
    ...(socket && {
      socket: { ...SOCKET_DEFAULTS, ...socket, path: inData(socket.path ?? SOCKET_DEFAULTS.path) },
    }),
    ...(otlp && {
      otlp: { ...OTLP_DEFAULTS, ...otlp, ...(otlp.tls && { tls: serverTls(otlp.tls, inData) }) },
    }),
  };
}

function completeExporter(
  name: string,
  given: ConfigForm['exporters'][string],
  inData: (path: string) => string,
  classes: Config['retention']['classes'],
): ExporterConfig {
  const retry = { ...RETRY_DEFAULTS, ...given?.retry };
  // The schema has checked each exporter by the type that its name begins with.
  const prefix = name.split('/')[0] ?? name;
  switch (prefix) {
    case 'file': {
      const form = given as FileForm;
      return { ...FILE_DEFAULTS, ...form, name, type: 'file', retry, path: inData(form.path) };
    }
    case 'elasticsearch': {
      const { tls, ...form } = given as ElasticsearchForm;
      const type = 'elasticsearch';
      return { ...ELASTICSEARCH_DEFAULTS, ...form, ...clientTls(tls, inData), name, type, retry };
    }
    case 'splunk': {
      const { tls, ...form } = given as SplunkForm;
      return {
        ...SPLUNK_DEFAULTS,
        ...form,
        ...clientTls(tls, inData),
        name,
        type: 'splunk',
        retry,
      };
    }
    case 'otlp': {
      const { tls, ...form } = given as OtlpForm;
      return {
        ...OTLP_SINK_DEFAULTS,
        ...form,
        ...clientTls(tls, inData),
        name,
        type: 'otlp',
        retry,
      };
    }
    case 'webhook': {
      const { tls, ...form } = given as WebhookForm;
      const type = 'webhook';
      return { ...WEBHOOK_DEFAULTS, ...form, ...clientTls(tls, inData), name, type, retry };
    }
    case 'syslog': {
      const { tls, ...form } = given as SyslogForm;
      const type = 'syslog';
      return { ...SYSLOG_DEFAULTS, ...form, ...clientTls(tls, inData), name, type, retry };
    }
    case 'kafka': {
      const { tls, ...form } = given as KafkaForm;
      const type = 'kafka';
      return { ...KAFKA_DEFAULTS, ...form, ...clientTls(tls, inData), name, type, retry };
    }
    case 'nats': {
      const { tls, ...form } = given as NatsForm;
      const files = completeNats({ ...form, ...(tls && { tls }) }, inData);
      return { ...NATS_DEFAULTS, ...form, ...files, name, type: 'nats', retry };
    }
    case 's3': {
      const { tls, ...form } = given as S3Form;
      const days = Object.entries(classes).map(([label, { days }]) => [label, days] as const);
      const retain_days = Object.fromEntries(days);
      const files = clientTls(tls, inData);
      return { ...S3_DEFAULTS, ...form, ...files, name, type: 's3', retry, retain_days };
    }
    default: {
      const { tls, ...form } = (given ?? {}) as PostgresqlForm;
      const type = 'postgresql';
      return { ...POSTGRESQL_DEFAULTS, ...form, ...clientTls(tls, inData), name, type, retry };
    }
  }
}

function serverTls(tls: TlsServerConfig, inData: (path: string) => string): TlsServerConfig {
  return {
    cert_file: inData(tls.cert_file),
    key_file: inData(tls.key_file),
    ...(tls.client_ca_file !== undefined && { client_ca_file: inData(tls.client_ca_file) }),
  };
}

/** Files of a connection to NATS, made absolute. */
export function completeNats(
  { tls, creds_file, nkey_file }: Pick<NatsForm, 'tls' | 'creds_file' | 'nkey_file'>,
  inData: (path: string) => string,
): Pick<NatsExporterConfig, 'tls' | 'creds_file' | 'nkey_file'> {
  return {
    ...clientTls(tls, inData),
    ...(creds_file !== undefined && { creds_file: inData(creds_file) }),
    ...(nkey_file !== undefined && { nkey_file: inData(nkey_file) }),
  };
}

/** TLS towards a server, its files made absolute. */
export function clientTls(
  tls: Partial<TlsClientConfig> | undefined,
  inData: (path: string) => string,
): { readonly tls?: TlsClientConfig } {
  if (tls === undefined) return {};
  return {
    tls: {
      insecure_skip_verify: false,
      ...tls,
      ...(tls.ca_file !== undefined && { ca_file: inData(tls.ca_file) }),
      ...(tls.cert_file !== undefined && { cert_file: inData(tls.cert_file) }),
      ...(tls.key_file !== undefined && { key_file: inData(tls.key_file) }),
    },
  };
}
