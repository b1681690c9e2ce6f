/** `sealtrail retention`: how long what is kept, what would go now, and the purge itself. */
import type { Command } from 'commander';
import type { StreamPlan } from '../agent/retain/plan.ts';
import { drawPlan, purgeAll } from '../agent/retain/purge.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { createProgress } from './progress.ts';
import { runClasses, type ClassesOptions } from './retention-classes.ts';
import { purgePorts } from './retention-ports.ts';
import {
  BY_HELP,
  BY_OPTION,
  defaultBy,
  STORE_HELP,
  STORE_OPTION,
  storeAddress,
  withStore,
} from './store-access.ts';

const PLAN_EXAMPLES = `
Examples:
  $ sealtrail retention plan
  $ sealtrail retention plan --json | jq '.[] | select(.size > 0)'

It changes nothing. Exit codes: 0 shown, 2 no agent or no store answers.`;

const PURGE_EXAMPLES = `
Examples:
  $ sealtrail retention plan && sealtrail retention purge
  $ sealtrail retention purge --json >> purges.ndjson      from a timer, once a day

The agent records each purge in the stream that it purges before anything goes. It can be stopped, or killed, at any moment: the next run goes on.
Exit codes: 0 done, or nothing was due; 2 no agent or no store answers, or it refuses a stream (the others are purged).`;

const CLASSES_EXAMPLES = `
Examples:
  $ sealtrail retention classes --config /etc/sealtrail/sealtrail.yaml            what the file says, and what is in force
  $ sealtrail retention classes --config /etc/sealtrail/sealtrail.yaml --apply    put it in force

Only the owner of the store may; a purge cannot shorten its own limits. A class that is not in force never expires.
Exit codes: 0 the same (or applied), 1 they differ, 2 the file, the agent or the store cannot be read.`;

interface Options {
  readonly dataDir: string;
  readonly store?: string;
  readonly json?: boolean;
}

interface PurgeCommandOptions extends Options {
  readonly by: string;
  readonly batch: string;
  readonly wait: string;
}

/** Adds the commands. */
export function addRetentionCommand(program: Command): void {
  const retention = program
    .command('retention')
    .description('retention: how long records are kept, and the purge of expired ones');
  retention
    .command('classes')
    .description('compare retention.classes of the configuration with the store; --apply sets them')
    .option('-c, --config <file>', 'configuration file', 'config/sealtrail.yaml')
    .option('--apply', 'put the classes of the file in force')
    .option(STORE_OPTION, 'connection URL of the owner (default: as the configuration says)')
    .option(BY_OPTION, BY_HELP, defaultBy())
    .option('--json', 'print JSON')
    .addHelpText('after', CLASSES_EXAMPLES)
    .action(async (options: ClassesOptions) => {
      process.exitCode = await runClasses(options);
    });
  retention
    .command('plan')
    .description('show what a purge would take of each stream, and what keeps the rest')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option(STORE_OPTION, STORE_HELP)
    .option('--json', 'print JSON')
    .addHelpText('after', PLAN_EXAMPLES)
    .action(async (options: Options) => {
      process.exitCode = await plan(options);
    });
  retention
    .command('purge')
    .description('delete what has expired and is under no hold')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option(STORE_OPTION, STORE_HELP)
    .option(BY_OPTION, BY_HELP, defaultBy())
    .option('--batch <n>', 'records a transaction, in whole tiles of 256', '4096')
    .option('--wait <s>', 'how long the store may take to receive what was recorded', '60')
    .option('--json', 'print NDJSON, a purge a line')
    .addHelpText('after', PURGE_EXAMPLES)
    .action(async (options: PurgeCommandOptions) => {
      process.exitCode = await purge(options);
    });
}

async function plan(options: Options): Promise<number> {
  const { dataDir, store, json } = options;
  const drawn = await withStore(storeAddress(dataDir, 'retention', store), (client) =>
    drawPlan(purgePorts(client, dataDir)),
  );
  if (!drawn.ok) return failed('plan', drawn.error);
  if (json === true) console.log(JSON.stringify(drawn.value, null, 2));
  else for (const one of drawn.value) console.log(describe(one));
  return 0;
}

function describe(one: StreamPlan): string {
  const { stream, tenant, policy, next, purged, expired, size, records, held, waits } = one;
  const rule = policy === null ? 'never expires' : `${policy.days} days (${policy.regime})`;
  const due =
    size === 0 ? 'nothing is due' : `${records} records before seq ${size} go, ${held} are held`;
  return [
    `${stream}  tenant ${tenant}, ${rule}`,
    `        ${next} records, ${expired} expired, ${purged} purged before; ${due}`,
    ...waits.map((wait) => `        ${wait}`),
  ].join('\n');
}

async function purge(options: PurgeCommandOptions): Promise<number> {
  const { dataDir, store, by, json } = options;
  const [placesMax, waitS] = [Number(options.batch), Number(options.wait)];
  if (!Number.isInteger(placesMax) || placesMax < 256)
    return failed('purge', '--batch is 256 or more');
  if (!(waitS >= 0)) return failed('purge', '--wait is a number of seconds');
  const progress = createProgress('purging', 'records');
  const done = await withStore(storeAddress(dataDir, 'retention', store), (client) =>
    purgeAll(purgePorts(client, dataDir), {
      ...{ by, placesMax, waitMs: waitS * 1_000 },
      onStep: (_, at, size) => progress.update(at, size),
    }),
  );
  progress.end();
  if (!done.ok) return failed('purge', done.error);
  for (const one of done.value.done) {
    const { stream, size, purged, record } = one;
    if (json === true) console.log(JSON.stringify(one));
    else
      console.log(
        `${stream}  ${purged} records before seq ${size} purged (record ${record.seq} of ${record.stream})`,
      );
  }
  for (const refusal of done.value.refusals) failed('purge', refusal);
  if (done.value.refusals.length > 0) return 2;
  if (done.value.done.length === 0 && json !== true) console.log('nothing is due');
  return 0;
}

function failed(what: string, reason: string): number {
  console.error(`retention ${what}: ${reason}`);
  return 2;
}
