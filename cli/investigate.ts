/** `sealtrail investigate`: one request across audit trail, application logs and trace, joined by its ids. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { openAuditEvents } from '../auditor/join/audit-events.ts';
import { findUserTraces, investigate } from '../auditor/join/investigate.ts';
import { describeSpan, type Investigation } from '../auditor/join/investigation.ts';
import { err } from '../schemas/result.ts';
import { embeddedAddress, embeddedHome } from '../store/embedded-address.ts';
import { openPlaces, type OpenPlaces, type PlaceOptions } from './investigate-places.ts';
import { formatInvestigation, formatUserTraces } from './investigate-view.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { STORE_HELP, STORE_OPTION } from './store-access.ts';

const EXAMPLES = `
Examples:
  $ sealtrail investigate export-42 --logs data/shop/app.log --traces data/shop/traces.ndjson
  $ sealtrail investigate 01KAVV6B3QK7Q0XXXXXXXXXXXX --store "$AUDITOR_URL" --logs app.log.1.gz app.log --jaeger http://jaeger:16686
  $ sealtrail investigate export-42 --elasticsearch https://logs.example:9200 --index 'logs-*' --tempo http://tempo:3200
  $ sealtrail investigate --user u-7 --traces traces.ndjson      the traces in which a user acted; of one alone, all of it
  $ sealtrail investigate export-42 --logs app.log --traces traces.ndjson --json | jq .answers

It takes the id of an event, of a request or of a trace, or the place of a record as the verifier names it
('<stream>:<seq>'), and joins by ids alone; what merely happened at the same time is
not shown. Logs: NDJSON with the ids in fields of any usual name, or text with an id in it as a whole token; gzip as well.
Traces: OTLP/JSON, or Jaeger's JSON, in files, or from the servers. Passwords for the servers go in their URLs, a key for
Elasticsearch in $ELASTICSEARCH_API_KEY, headers for Jaeger and Tempo in $TRACES_HEADERS (authorization=Bearer%20…,x-scope-orgid=acme).
A user is searched for in files whole, on the servers in the last seven days, or from --since until --until.
Rows are metadata.row_count of the event.

Exit codes: 0 the whole picture, 1 nothing is known by that id, 2 in part (a place could not be read, a link is missing,
or a record is not what was sealed: each is named), or the question is wrong.`;

interface InvestigateOptions extends PlaceOptions {
  readonly dataDir: string;
  readonly user?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function addInvestigateCommand(program: Command): void {
  program
    .command('investigate')
    .description('gather the audit events, log lines and trace of one request')
    .argument('[id]', 'an event id, request id or trace id')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option(STORE_OPTION, STORE_HELP)
    .option('--logs <file...>', "files with the application's log")
    .option('--elasticsearch <url>', 'Elasticsearch with the log, beside --index')
    .option('--index <name>', 'index, data stream or pattern of it')
    .option('--traces <file...>', 'files with OTLP/JSON')
    .option('--jaeger <url>', "Jaeger's query service")
    .option('--tempo <url>', 'Tempo')
    .option('--user <id>', 'instead of an id: find the traces by user.id of their spans')
    .option(
      '--since <time>',
      'with --user: begun at or after this time (UTC), as `sealtrail ask` takes it',
    )
    .option('--until <time>', 'with --user: begun before this time (default: now)')
    .option('--service <name>', 'whose spans Jaeger searches for a user')
    .option('--json', 'print all of it as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (id: string | undefined, options: InvestigateOptions) => {
      process.exitCode = await runInvestigate(id, options);
    });
}

async function runInvestigate(
  id: string | undefined,
  options: InvestigateOptions,
): Promise<number> {
  const fault = findFault(id, options);
  const places = fault === null ? openPlaces(options, process.env, Date.now) : err(fault);
  if (!places.ok) {
    console.error(`investigate: ${places.error}`);
    return 2;
  }
  const { user } = options;
  if (user === undefined) return show(id ?? '', options, places.value);
  const { range, traces: sources } = places.value;
  const { traces, asked } = await findUserTraces(user, range, sources);
  const [only] = traces;
  const isRead = asked.every((one) => one.fault === null);
  if (only !== undefined && traces.length === 1 && isRead)
    return show(only.request_id ?? only.trace_id, options, places.value);
  if (options.json === true) console.log(JSON.stringify({ user, traces, asked }, null, 2));
  else console.log(formatUserTraces(user, traces, asked));
  if (!isRead) return 2;
  return traces.length === 0 ? 1 : 0;
}

async function show(
  id: string,
  options: InvestigateOptions,
  { logs, traces }: OpenPlaces,
): Promise<number> {
  const { store, dataDir } = options;
  const events = openAuditEvents(store ?? embeddedAddress(embeddedHome(dataDir), 'auditor'));
  try {
    const found = await investigate(id, {
      events,
      store: store === undefined ? join(dataDir, 'postgres') : new URL(store).host,
      ...{ logs, traces },
    });
    console.log(options.json === true ? toJson(found) : formatInvestigation(found));
    if (found.isWhole) return 0;
    const isRead = found.asked.every((one) => one.fault === null);
    const isNothing =
      found.events.length + found.unreadable.length === 0 &&
      found.lines_total === 0 &&
      found.tree.nodes.length === 0;
    return isRead && isNothing ? 1 : 2;
  } finally {
    events.close();
  }
}

function findFault(id: string | undefined, options: InvestigateOptions): string | null {
  const { user, jaeger, tempo, traces, since, until } = options;
  if ((id === undefined) === (user === undefined))
    return 'name either an id or --user; see `sealtrail investigate --help`';
  if (user !== undefined && (jaeger ?? tempo ?? traces) === undefined)
    return '--user is looked for in traces: name --traces, --jaeger or --tempo';
  if (user === undefined && (since ?? until) !== undefined)
    return '--since and --until go with --user: an id is of one time';
  return null;
}

/** What a program reads: names as on the wire, times in milliseconds. */
function toJson(found: Investigation): string {
  const { tree, events, isWhole, ...rest } = found;
  const { nodes, duplicates, orphans, leftOut } = tree;
  return JSON.stringify(
    {
      whole: isWhole,
      ...rest,
      events: events.map(({ isHashRight, ...one }) => ({ ...one, hash_right: isHashRight })),
      trace: {
        spans: nodes.map((node) => describeSpan(node, nodes)),
        duplicates,
        parents_missing: orphans,
        of_other_requests: leftOut,
      },
    },
    null,
    2,
  );
}
