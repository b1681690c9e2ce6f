/** What the agent prints when it stands: where it listens, where events go, how to send the first one. */
import { join, relative } from 'node:path';
import type { Agent } from '../agent/agent-interface.ts';
import type { Config } from '../schemas/config.ts';
import type { ExporterConfig } from '../schemas/exporter-config.ts';
import type { EmbeddedPostgres } from '../store/embedded.ts';
import { embeddedHome } from '../store/embedded-address.ts';
import { portFileOf } from '../store/embedded-port.ts';

const FIRST_EVENT =
  '{"action":"user.login","outcome":"success","actor":{"type":"user","id":"u-1","name":"Ada"},"resource":{"type":"session","id":"s-1"}}';

/** Text for a person, many lines. */
export function describeAgent(config: Config, agent: Agent): string {
  const { socket, otlp, admin } = agent.listening;
  // In a checkout (`npm start`) the program is not on the PATH.
  const program = process.env['npm_lifecycle_event'] === undefined ? 'sealtrail' : 'npx sealtrail';
  const lines = [
    '',
    `Sealtrail agent "${config.agent.name}" is ready (pid ${process.pid}).`,
    '',
    '  listens on',
    ...(socket === null ? [] : [`    unix socket   ${shown(socket)}   (SDK, sealtrail emit)`]),
    ...(otlp === null ? [] : [`    OTLP/HTTP     ${otlp}/v1/logs and /v1/audit`]),
    `    admin         ${admin}/healthz /readyz /metrics`,
    '',
    '  keeps',
    `    ledger        ${shown(join(config.data_dir, 'ledger'))}/   (${program} verify ${shown(config.data_dir)})`,
    ...(canNoticeRollback(config)
      ? []
      : [
          `    rollback      would go unnoticed: nothing outside ${shown(config.data_dir)}/ knows how far the ledger is; set ledger.head_file`,
        ]),
    ...agent.generatedKeys.map(
      (path) => `    new key       ${shown(path)}   (generated now, mode 0600: back it up)`,
    ),
    '',
    '  delivers to',
    ...(config.exporters.length === 0 ? ['    nothing: the ledger only'] : []),
    ...config.exporters.map(
      (exporter) => `    ${exporter.name.padEnd(13)} ${describeSink(exporter)}`,
    ),
    '',
    '  send a first event, from another terminal',
    `    echo '${FIRST_EVENT}' | ${program} emit${dataDirOption(config)}`,
    `    ${program} status${dataDirOption(config)}`,
    '',
    'Ctrl-C drains and stops.',
  ];
  return lines.join('\n');
}

/** Whether anything outside the data directory could tell that it was put back to an older copy. */
function canNoticeRollback({ ledger, exporters }: Config): boolean {
  const hasStore = exporters.some((one) => one.type === 'postgresql' && !one.embedded);
  return hasStore || ledger.head_file !== undefined;
}

/** One line about the embedded server. */
export function describeDatabase(config: Config, outcome: EmbeddedPostgres | string): string {
  if (typeof outcome === 'string')
    return `PostgreSQL is not up yet, events wait in the ledger: ${outcome}`;
  const port = shown(portFileOf(embeddedHome(config.data_dir)));
  const passwords = shown(join(config.data_dir, 'keys', 'postgres-passwords.json'));
  return `PostgreSQL is up on 127.0.0.1:${outcome.port}${outcome.adopted ? ' (adopted)' : ''}; port in ${port}, passwords in ${passwords}; queries in docs/STORE.md`;
}

function describeSink(exporter: ExporterConfig): string {
  switch (exporter.type) {
    case 'postgresql':
      return exporter.embedded
        ? 'embedded PostgreSQL, the store of record'
        : 'PostgreSQL, the store of record';
    case 'file':
      return `${shown(exporter.path)}   (${exporter.format.toUpperCase()}, NDJSON)`;
    case 'elasticsearch':
      return `${exporter.endpoints.join(', ')}   (${exporter.format.toUpperCase()}, ${exporter.data_stream})`;
    case 'splunk':
    case 'otlp':
    case 'webhook':
      return `${exporter.endpoints.join(', ')}   (${exporter.format.toUpperCase()})`;
    case 'syslog':
      return `syslog at ${exporter.endpoint} over ${exporter.transport.toUpperCase()}   (${exporter.format.toUpperCase()})`;
    case 'kafka':
      return `Kafka at ${exporter.brokers.join(', ')}   (${exporter.format.toUpperCase()}, ${exporter.topic})`;
    case 'nats':
      return `${exporter.servers.join(', ')}   (sealed records, ${exporter.stream})`;
    case 's3':
      return `S3 bucket ${exporter.bucket}   (sealed records, Object Lock in ${exporter.lock_mode} mode)`;
  }
}

/** Relative to the working directory where it lies below that. */
function shown(path: string): string {
  const short = relative('.', path);
  return short.startsWith('..') || short === '' || process.cwd() === '/' ? path : short;
}

function dataDirOption(config: Config): string {
  return shown(config.data_dir) === 'data' ? '' : ` --data-dir ${shown(config.data_dir)}`;
}
