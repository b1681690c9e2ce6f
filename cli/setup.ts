/** `sealtrail setup`: what the agent delivers to, prepared; here `elasticsearch`. */
import type { Command } from 'commander';
import { loadConfig } from '../agent/config.ts';
import { searchResources, type SearchFlavor } from '../agent/deliver/setup/search-resources.ts';
import { setupSearch, type SetupDone } from '../agent/deliver/setup/search-setup.ts';
import type { Config } from '../schemas/config.ts';
import type { ElasticsearchExporterConfig } from '../schemas/exporter-config.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { formatFault } from './config-check.ts';
import { addArchiveSetup } from './setup-archive.ts';

interface SetupFlags {
  readonly config: string;
  readonly exporter?: string;
  readonly deleteAfterDays?: string;
  readonly flavor?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail setup elasticsearch --dry-run             prints the requests, sends none
  $ SEALTRAIL_SETUP_API_KEY=… sealtrail setup elasticsearch --config /etc/sealtrail/sealtrail.yaml
  $ sealtrail setup elasticsearch --exporter elasticsearch/eu --delete-after-days 2557 --json

Makes a lifecycle policy (ILM, or ISM on OpenSearch), an index template and the data stream of the exporter. Run it
again at any time: what is the same is left alone. A changed template counts from the next rollover on.
Credentials: $SEALTRAIL_SETUP_API_KEY, or $SEALTRAIL_SETUP_USERNAME and $SEALTRAIL_SETUP_PASSWORD; default: the exporter's.
Exit codes: 0 done, 1 the cluster refused, or has something of that name that is not ours, 2 no answer, or no such exporter.`;

/** Adds the command. */
export function addSetupCommand(program: Command): void {
  const setup = program.command('setup').description('prepare what the agent delivers to');
  addArchiveSetup(setup);
  setup
    .command('elasticsearch')
    .description('lifecycle policy, index template and data stream, on Elasticsearch or OpenSearch')
    .option('-c, --config <file>', 'configuration file', 'config/sealtrail.yaml')
    .option('--exporter <name>', 'which exporter, where there are several')
    .option('--delete-after-days <n>', 'delete an index so long after its rollover; default: never')
    .option('--flavor <name>', 'with --dry-run: elasticsearch or opensearch', 'elasticsearch')
    .option('--dry-run', 'print what would be asked for, without a connection')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: SetupFlags) => {
      process.exitCode = await runSetup(flags, {
        env: process.env,
        out: (line) => console.log(line),
        err: (line) => console.error(line),
      });
    });
}

interface SetupHost {
  readonly env: NodeJS.ProcessEnv;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** Runs the command; resolves with its exit code. */
export async function runSetup(flags: SetupFlags, host: SetupHost): Promise<number> {
  const fail = (code: number, message: string): number => {
    if (flags.json === true) host.out(JSON.stringify({ ok: false, error: message }));
    else host.err(`setup elasticsearch: ${message}`);
    return code;
  };
  const days = daysOf(flags.deleteAfterDays);
  if (days === null) return fail(2, '--delete-after-days takes a whole number from 1 on');
  const { flavor = 'elasticsearch' } = flags;
  if (!isFlavor(flavor)) return fail(2, '--flavor is elasticsearch or opensearch');
  const loaded = await loadConfig(flags.config, host.env);
  if (!loaded.ok)
    return fail(2, loaded.error.map((fault) => formatFault(flags.config, fault)).join('\n'));
  const found = findExporter(loaded.value, flags.exporter);
  if (!found.ok) return fail(2, found.error);
  const exporter = found.value;
  const credentials = credentialsOf(exporter, host.env);
  const deletion = days === undefined ? {} : { deleteAfterDays: days };

  if (flags.dryRun === true) {
    const { data_stream: dataStream, format } = exporter;
    const resources = searchResources({ flavor, dataStream, format, ...deletion });
    if (flags.json === true)
      host.out(JSON.stringify({ ok: true, dry_run: true, flavor, resources }));
    else
      for (const { path, body } of resources)
        host.out(`PUT ${path}${body === null ? '' : `\n${JSON.stringify(body, null, 2)}`}\n`);
    return 0;
  }
  const done = await setupSearch({ exporter, credentials, ...deletion, nowMs: Date.now });
  if (!done.ok) return fail(done.error.kind === 'unreachable' ? 2 : 1, done.error.message);
  host.out(
    flags.json === true ? JSON.stringify({ ok: true, ...done.value }) : describe(done.value),
  );
  return 0;
}

function describe({ flavor, version, steps }: SetupDone): string {
  return [
    `${flavor} ${version}`,
    ...steps.map(
      ({ kind, name, done }) => `  ${kind.replace('_', ' ').padEnd(18)}${name}: ${done}`,
    ),
  ].join('\n');
}

/** Undefined: none is asked for. Null: no such number. */
function daysOf(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  return /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : null;
}

function isFlavor(name: string): name is SearchFlavor {
  return name === 'elasticsearch' || name === 'opensearch';
}

function findExporter(
  { exporters }: Config,
  name: string | undefined,
): Result<ElasticsearchExporterConfig, string> {
  const all = exporters.filter((one) => one.type === 'elasticsearch');
  const found = name === undefined ? all : all.filter((one) => one.name === name);
  const [first] = found;
  if (found.length === 1 && first !== undefined) return ok(first);
  const names = all.map((one) => one.name).join(', ');
  if (all.length === 0) return err('the configuration has no exporter of type elasticsearch');
  return err(
    found.length === 0
      ? `there is no exporter "${name}"; there are: ${names}`
      : `there are several exporters; choose one with --exporter: ${names}`,
  );
}

type Credentials = Pick<ElasticsearchExporterConfig, 'api_key' | 'username' | 'password'>;

/** Of a user who may do this; the exporter's own one should not. */
function credentialsOf(exporter: Credentials, env: NodeJS.ProcessEnv): Credentials {
  const apiKey = env['SEALTRAIL_SETUP_API_KEY'];
  const username = env['SEALTRAIL_SETUP_USERNAME'];
  if (apiKey !== undefined && apiKey !== '') return { api_key: apiKey };
  if (username !== undefined && username !== '')
    return { username, password: env['SEALTRAIL_SETUP_PASSWORD'] ?? '' };
  return exporter;
}
