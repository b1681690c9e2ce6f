/** `sealtrail demo`: a store to investigate, with a month of several tenants' trail in it. */
import { InvalidArgumentError, type Command } from 'commander';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const EXAMPLES = `
Examples:
  $ sealtrail demo                                 last month, in ./demo-data
  $ sealtrail demo --data-dir /tmp/d --seed 7 --month 2026-10
  $ sealtrail demo --no-tampering                  every record is what was sealed
  $ sealtrail demo --data-dir /tmp/d --stop        ends the database that runs on

Some thousand events of three tenants: support with tickets and impersonations, ordinary work, guessed passwords, work
in the night, exports, a gap; app logs and traces of some requests; and, unless --no-tampering says otherwise, one
record that a superuser of the database altered after it was sealed. The same seed and month tell the same story.
docs/INVESTIGATION.md walks through it. What is true is in ground-truth.json, for whoever wants to compare in the end.

Exit codes: 0 it is there (or was stopped), 1 nothing was there to stop, 2 it could not be made.`;

const SEED_DEFAULT = 1;
const DATA_DIR_DEFAULT = 'demo-data';
const VOCABULARY = fileURLToPath(new URL('../../config/vocabulary.json', import.meta.url));

interface DemoCommandOptions {
  readonly dataDir: string;
  readonly seed: number;
  readonly month?: string;
  readonly tampering: boolean;
  readonly stop?: boolean;
}

/** Adds the command. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('fill a store of its own with a month to investigate')
    .option('-d, --data-dir <dir>', 'where it is made; holds no ledger yet', DATA_DIR_DEFAULT)
    .option('--seed <n>', 'a whole number: which story', parseSeed, SEED_DEFAULT)
    .option('--month <yyyy-mm>', 'month that it tells of, UTC (default: the last one)', parseMonth)
    .option('--no-tampering', 'alter nothing after it was sealed')
    .option('--stop', 'end the database of such a directory')
    .addHelpText('after', EXAMPLES)
    .action(async (options: DemoCommandOptions) => {
      process.exitCode = await runDemo(options);
    });
}

async function runDemo(options: DemoCommandOptions): Promise<number> {
  const { dataDir, seed, tampering, stop } = options;
  // The agent it brings along is loaded when it is needed.
  const { makeDemo, stopDemo } = await import('../demo/demo.ts');
  if (stop === true) {
    const wasRunning = await stopDemo(dataDir);
    console.log(wasRunning ? 'the database was stopped' : `no database runs for ${dataDir}`);
    return wasRunning ? 0 : 1;
  }
  const { monthBefore } = await import('../demo/scene.ts');
  const { createAppLog } = await import('../agent/observe/log.ts');
  const month = options.month ?? monthBefore(Date.now());
  const made = await makeDemo({
    dataDir,
    seed,
    month,
    isTampered: tampering,
    vocabularyFile: VOCABULARY,
    log: createAppLog({ level: 'error', name: 'demo' }),
    onProgress: (step) => console.error(`demo: ${step} …`),
  });
  if (!made.ok) {
    console.error(`demo: ${made.error}`);
    return 2;
  }
  const { events, auditorUrl, logFile, traceFile, configFile } = made.value;
  const here = (path: string): string => relative(process.cwd(), path) || '.';
  console.log(`${events} events are in ${dataDir}. Its database runs on; go on with

  export AUDITOR_URL='${auditorUrl}'
  sealtrail ask                                     the questions
  sealtrail ask impersonations --actor u_admin_alice --tenant acme --since ${month} --until ${month} --store "$AUDITOR_URL"
  sealtrail web --data-dir ${dataDir} --operator sealtrail_auditor     sign in as sealtrail_auditor, with the password of that URL
  sealtrail investigate ID --store "$AUDITOR_URL" --logs ${here(logFile)} --traces ${here(traceFile)}
  sealtrail verify --store "$AUDITOR_URL" --checkpoints ${dataDir}
  sealtrail agent --config ${here(configFile)}      an agent that goes on with it
  sealtrail demo --data-dir ${dataDir} --stop`);
  return 0;
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_0000)
    throw new InvalidArgumentError('It is no whole number of 32 bits.');
  return seed;
}

function parseMonth(text: string): string {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(text))
    throw new InvalidArgumentError('It is no month like 2026-10.');
  return text;
}
