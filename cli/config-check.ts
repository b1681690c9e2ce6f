/** `sealtrail config check`: the faults of a configuration, or what an agent would do with it. */
import { join } from 'node:path';
import { loadConfig, loadVocabularyFile, type ConfigFault } from '../agent/config.ts';
import type { Config } from '../schemas/config.ts';
import type { ExporterConfig } from '../schemas/exporter-config.ts';

export interface ConfigCheckOptions {
  readonly path: string;
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** Members that config.schema.json marks as writeOnly. */
const SECRETS: ReadonlySet<string> = new Set([
  'api_key',
  'headers',
  'owner_url',
  'password',
  'secret',
  'token',
  'url',
  'secret_access_key',
  'session_token',
]);

/** Checks a file and prints the result. Exit code: 0 valid, 1 faults, 2 the file cannot be read. */
export async function runConfigCheck(options: ConfigCheckOptions): Promise<number> {
  const { path, json, out, err } = options;
  const loaded = await loadConfig(path, options.env);
  if (json) {
    const faults = loaded.ok ? [] : loaded.error;
    const config = loaded.ok ? { config: loaded.value } : {};
    out(JSON.stringify({ valid: loaded.ok, path, faults, ...config }, maskSecret, 2));
  } else if (loaded.ok) {
    out(await describeConfig(path, loaded.value));
  } else {
    for (const fault of loaded.error) err(formatFault(path, fault));
  }
  if (loaded.ok) return 0;
  return loaded.error.some(({ line }) => line === 0) ? 2 : 1;
}

/** `file:line:column: field: message`, as compilers write it and editors read it. */
export function formatFault(path: string, fault: ConfigFault): string {
  const { line, column, field, message } = fault;
  const place = line === 0 ? path : `${path}:${line}:${column}`;
  return `${place}: ${field === '' ? '' : `${field}: `}${message}`;
}

function maskSecret(key: string, value: unknown): unknown {
  if (!SECRETS.has(key)) return value;
  if (typeof value === 'string') return '***';
  // Names of headers are no secret, what they carry is.
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.keys(value).map((name) => [name, '***']))
    : value;
}

async function describeConfig(path: string, config: Config): Promise<string> {
  const vocabulary = await loadVocabularyFile(config.agent.vocabulary_file);
  const actions = vocabulary.ok ? vocabulary.value.actions.size : 0;
  const rows = [
    ['agent', `${config.agent.name}, ${actions} actions from ${config.agent.vocabulary_file}`],
    ['data', config.data_dir],
    ...describeListeners(config).map((text) => ['listens', text]),
    ...config.exporters.map((exporter) => ['delivers', describeExporter(config, exporter)]),
    ...(config.exporters.length === 0 ? [['delivers', 'nowhere: the ledger only']] : []),
    ['tenants', config.tenants.map(({ id }) => id).join(', ')],
    ...Object.entries(config.retention.classes).map(([name, { days, regime }]) => [
      'keeps',
      `${name} for ${days} days (${regime})`,
    ]),
  ];
  return [`${path}: ok`, ...rows.map(([what = '', text]) => `  ${what.padEnd(10)}${text}`)].join(
    '\n',
  );
}

function describeListeners({ receivers, service }: Config): readonly string[] {
  const { socket, otlp } = receivers;
  const listeners: string[] = [];
  if (socket !== undefined)
    listeners.push(`${socket.path} (${socket.mode}) for ${tenantsOf(socket.tenants)}`);
  if (otlp !== undefined) {
    const scheme = otlp.tls === undefined ? 'http' : 'https';
    const asked = [
      ...(otlp.bearer_tokens === undefined ? [] : ['a bearer token']),
      ...(otlp.tls?.client_ca_file === undefined ? [] : ['a client certificate']),
    ].join(' and ');
    const guard = asked === '' ? '' : `, asks for ${asked}`;
    listeners.push(`${scheme}://${otlp.endpoint} (OTLP) for ${tenantsOf(otlp.tenants)}${guard}`);
  }
  return [...listeners, `http://${service.telemetry.admin_endpoint} (health, metrics)`];
}

function tenantsOf(names: readonly string[]): string {
  return names.includes('*') ? 'every tenant' : names.join(', ');
}

function describeExporter(config: Config, exporter: ExporterConfig): string {
  const optional = exporter.required ? '' : ', best effort';
  return `${exporter.name}: ${describeTarget(config, exporter)}${optional}`;
}

function describeTarget(config: Config, exporter: ExporterConfig): string {
  switch (exporter.type) {
    case 'postgresql': {
      if (exporter.embedded) return `embedded PostgreSQL in ${join(config.data_dir, 'postgres')}`;
      const { host, pathname } = new URL(exporter.url ?? '');
      return `PostgreSQL at ${host}${pathname}`;
    }
    case 'file':
      return `${exporter.path} (${exporter.format})`;
    case 'elasticsearch':
      return `${exporter.endpoints.join(', ')}, ${exporter.data_stream} (${exporter.format})`;
    case 'splunk':
    case 'otlp':
    case 'webhook':
      return `${exporter.endpoints.join(', ')} (${exporter.format})`;
    case 'syslog':
      return `syslog at ${exporter.endpoint} over ${exporter.transport} (${exporter.format})`;
    case 'kafka':
      return `Kafka at ${exporter.brokers.join(', ')}, ${exporter.topic} (${exporter.format})`;
    case 'nats':
      return `${exporter.servers.join(', ')}, ${exporter.stream}`;
    case 's3':
      return `S3 bucket ${exporter.bucket}${exporter.endpoint === undefined ? '' : ` at ${exporter.endpoint}`}, ${exporter.lock_mode} mode`;
  }
}
