/** What config.schema.json cannot say of exporters: members that contradict one another, shared files. */
import { join, sep } from 'node:path';
import type { S3ExporterConfig } from '../schemas/archive-config.ts';
import type {
  ElasticsearchExporterConfig,
  ExporterConfig,
  KafkaExporterConfig,
  NatsConnectionConfig,
  PostgresqlExporterConfig,
  SyslogExporterConfig,
} from '../schemas/exporter-config.ts';
import type { CheckContext } from './config-checks.ts';
import { pointerTo, type FieldFault } from './config-source.ts';
import { isLoopback, parseEndpoint } from './endpoint.ts';

/** What the agent itself keeps in data_dir. */
const OWN_NAMES = [
  'ledger',
  'keys',
  'postgres',
  'cursors',
  'dead-letter',
  'sealtrail.sock',
  'admin.sock',
  'agent.lock',
  'agent.owner.json',
];

/** Checks each exporter, and that no two of them get in each other's way. */
export function checkExporters(context: CheckContext): readonly FieldFault[] {
  const { exporters } = context.config;
  const faults = exporters.flatMap((exporter) => [
    ...checkRetry(exporter),
    ...checkBound(exporter),
    ...checkByType(exporter, context),
  ]);
  const [first] = exporters;
  if (first !== undefined && exporters.every(({ required }) => !required)) {
    const message =
      'no exporter is required, so segments could go before any sink has their records; set required: true on one';
    faults.push({ field: '/exporters', onKey: true, message });
  }
  return faults;
}

function checkRetry({ name, retry }: ExporterConfig): readonly FieldFault[] {
  if (retry.initial_ms <= retry.max_ms) return [];
  const field = `${pointerTo('/exporters', name)}/retry`;
  return [{ field, message: `initial_ms is more than max_ms (${retry.max_ms}); lower it` }];
}

/** Only what may be lost may be skipped. */
function checkBound({ name, bound, required }: ExporterConfig): readonly FieldFault[] {
  if (bound === undefined || !required) return [];
  const field = `${pointerTo('/exporters', name)}/bound`;
  const message = 'a required sink skips nothing; remove it, or set required: false';
  return [{ field, onKey: true, message }];
}

function checkByType(exporter: ExporterConfig, context: CheckContext): readonly FieldFault[] {
  const at = pointerTo('/exporters', exporter.name);
  switch (exporter.type) {
    case 'postgresql':
      return [...checkPostgresql(exporter, at, context), ...checkEmbedded(exporter, at, context)];
    case 'file':
      return checkFile(exporter.path, exporter.name, `${at}/path`, context);
    case 'elasticsearch':
      return checkElasticsearch(exporter, at);
    case 'splunk':
      return checkEndpoints(exporter.endpoints, true, at);
    case 'otlp':
    case 'webhook':
      return checkEndpoints(exporter.endpoints, Object.keys(exporter.headers).length > 0, at);
    case 'syslog':
      return checkTransport(exporter, [['endpoint', exporter.endpoint]], at);
    case 'kafka': {
      const brokers = exporter.brokers.map((one, index) => [`brokers/${index}`, one] as const);
      return checkTransport(exporter, brokers, at);
    }
    case 'nats':
      return checkNats(exporter, at);
    case 's3':
      return checkS3(exporter, at);
  }
}

/** One server or the other: what is given for one is ignored by the other, so it is refused. */
function checkPostgresql(
  exporter: PostgresqlExporterConfig,
  at: string,
  { form }: CheckContext,
): readonly FieldFault[] {
  const given = form.exporters[exporter.name] ?? {};
  const idle = exporter.embedded ? ['url', 'owner_url', 'tls'] : ['port'];
  const remedy = exporter.embedded
    ? 'set embedded: false to use a server of your own'
    : 'it belongs to the embedded server: remove it, and put the port into url';
  const faults = idle
    .filter((key) => Object.hasOwn(given, key))
    .map((key) => ({ field: `${at}/${key}`, message: `has no effect here; ${remedy}` }));
  if (!exporter.embedded && exporter.url === undefined) {
    const message = 'url is missing: name your server, or set embedded: true';
    faults.push({ field: `${at}/url`, message });
  }
  const urls = Object.entries({ url: exporter.url, owner_url: exporter.owner_url });
  for (const [key, url] of urls) {
    if (url === undefined || isWholeUrl(url)) continue;
    const message = 'is no URL; percent-encode what is special in a password, such as %2F for /';
    faults.push({ field: `${at}/${key}`, message });
  }
  return faults;
}

/** A slash in a password would make the user a host and the host a path. */
function isWholeUrl(url: string): boolean {
  return URL.canParse(url) && url.includes('@') === (new URL(url).username !== '');
}

function checkEmbedded(
  exporter: PostgresqlExporterConfig,
  at: string,
  { config }: CheckContext,
): readonly FieldFault[] {
  const [first] = config.exporters.filter((one) => one.type === 'postgresql' && one.embedded);
  if (!exporter.embedded || first === undefined || first === exporter) return [];
  const message = `"${first.name}" runs the embedded server already; give this one a url`;
  return [{ field: at, onKey: true, message }];
}

function checkFile(
  path: string,
  exporter: string,
  field: string,
  { config }: CheckContext,
): readonly FieldFault[] {
  const faults: FieldFault[] = [];
  const other = config.exporters.find((one) => one.type === 'file' && one.path === path);
  if (other !== undefined && other.name !== exporter)
    faults.push({ field, message: `is the file of "${other.name}" as well; give each its own` });
  const own = OWN_NAMES.find((name) =>
    `${path}${sep}`.startsWith(join(config.data_dir, name, sep)),
  );
  if (own !== undefined)
    faults.push({ field, message: `is in ${own}, which is the agent's own; use siem/, say` });
  return faults;
}

/** Credentials go over TLS, or stay on this host. */
function checkElasticsearch(
  exporter: ElasticsearchExporterConfig,
  at: string,
): readonly FieldFault[] {
  const faults: FieldFault[] = [];
  const { api_key, username } = exporter;
  if (api_key !== undefined && username !== undefined)
    faults.push({
      field: `${at}/username`,
      message: 'goes with password, not with api_key; keep one',
    });
  return [
    ...faults,
    ...checkEndpoints(exporter.endpoints, (api_key ?? username) !== undefined, at),
  ];
}

function checkEndpoints(
  endpoints: readonly string[],
  hasCredentials: boolean,
  at: string,
): readonly FieldFault[] {
  const faults: FieldFault[] = [];
  for (const [index, endpoint] of endpoints.entries()) {
    const field = `${at}/endpoints/${index}`;
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (url === null)
      faults.push({ field, message: 'is no URL, such as https://siem.example:9200' });
    else if (
      url.protocol === 'http:' &&
      hasCredentials &&
      !isLoopback(url.hostname.replace(/^\[|\]$/g, ''))
    )
      faults.push({ field, message: 'sends credentials in the clear; use https' });
  }
  return faults;
}

/** Events go over TLS, or stay on this host, or somebody has said that they need not. */
function checkTransport(
  exporter: SyslogExporterConfig | KafkaExporterConfig,
  endpoints: readonly (readonly [key: string, endpoint: string])[],
  at: string,
): readonly FieldFault[] {
  const isPlain = exporter.transport === 'tcp';
  const faults: FieldFault[] = [];
  for (const [key, text] of endpoints) {
    const field = `${at}/${key}`;
    const endpoint = parseEndpoint(text);
    if (endpoint === null || endpoint.port === 0)
      faults.push({ field, message: 'is no host:port, such as siem.example:6514' });
    else if (isPlain && !exporter.insecure && !isLoopback(endpoint.host))
      faults.push({
        field,
        message: 'is reached in the clear; use transport: tls, or insecure: true',
      });
  }
  if (isPlain && exporter.tls !== undefined)
    faults.push({ field: `${at}/tls`, message: 'has no effect with transport: tcp; remove it' });
  return faults;
}

/** One way to say who one is; secrets go over TLS, or stay on this host. */
export function checkNats(nats: NatsConnectionConfig, at: string): readonly FieldFault[] {
  const ways = (['username', 'token', 'creds_file', 'nkey_file'] as const).filter(
    (name) => nats[name] !== undefined,
  );
  const second = ways[1];
  const faults: FieldFault[] = [];
  if (second !== undefined) {
    const message = `is a second way to log in beside ${ways[0] ?? ''}; keep one`;
    faults.push({ field: `${at}/${second}`, message });
  }
  const isSecret = nats.username !== undefined || nats.token !== undefined;
  for (const [index, server] of nats.servers.entries()) {
    const field = `${at}/servers/${index}`;
    const url = URL.canParse(server) ? new URL(server) : null;
    if (url === null)
      faults.push({ field, message: 'is no URL, such as nats://nats.example:4222' });
    else if (
      isSecret &&
      url.protocol === 'nats:' &&
      nats.tls === undefined &&
      !isLoopback(url.hostname.replace(/^\[|\]$/g, ''))
    )
      faults.push({ field, message: 'sends credentials in the clear; use tls://' });
  }
  return faults;
}

/** Requests are signed, but what they carry could be read; and who redirects them takes the events. */
function checkS3({ endpoint }: S3ExporterConfig, at: string): readonly FieldFault[] {
  if (endpoint === undefined) return [];
  const field = `${at}/endpoint`;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url === null) return [{ field, message: 'is no URL, such as https://s3.example:9000' }];
  if (url.protocol === 'https:' || isLoopback(url.hostname.replace(/^\[|\]$/g, ''))) return [];
  return [{ field, message: 'sends events in the clear; use https' }];
}
