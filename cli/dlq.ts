/** `sealtrail dlq`: what a sink would not take, with reasons; and its second chance. */
import type { Command } from 'commander';
import type { DeadLetter, DeadLetterRetry } from '../agent/ports.ts';
import { askAgent, DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';

interface DlqOptions {
  readonly dataDir: string;
  readonly sink?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

const LIST_EXAMPLES = `
Examples:
  $ sealtrail dlq list
  $ sealtrail dlq list --sink elasticsearch --json | jq -r .reason | sort | uniq -c

Exit codes: 0 there are none, 1 there are some, 2 no agent answers.`;

const RETRY_EXAMPLES = `
Examples:
  $ sealtrail dlq retry                      all sinks
  $ sealtrail dlq retry --sink elasticsearch

What the sink takes now leaves the queue; what it refuses again stays, with the new reason.
Exit codes: 0 all were taken, 1 some stay, 2 no agent answers.`;

/** Adds the commands. */
export function addDlqCommand(program: Command): void {
  const dlq = program
    .command('dlq')
    .description('the dead-letter queue: records that a sink will not take');
  dlq
    .command('list')
    .description('list dead letters: sink, record, reason')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--sink <name>', 'only those of this sink')
    .option('--limit <n>', 'at most so many', '1000')
    .option('--json', 'print NDJSON')
    .addHelpText('after', LIST_EXAMPLES)
    .action(async (options: DlqOptions) => {
      process.exitCode = await list(options);
    });
  dlq
    .command('retry')
    .description('send dead letters again')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--sink <name>', 'only those of this sink')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', RETRY_EXAMPLES)
    .action(async (options: DlqOptions) => {
      process.exitCode = await retry(options);
    });
}

async function list(options: DlqOptions): Promise<number> {
  const answer = await askAgent(options.dataDir, 'GET', `/dlq?${query(options)}`);
  if (!answer.ok) return failed('list', answer.error);
  // The agent is of this build: its answer has this form.
  const letters = answer.value as readonly DeadLetter[];
  for (const letter of letters) {
    if (options.json === true) console.log(JSON.stringify(letter));
    else
      console.log(
        `${letter.at}  ${letter.sink}  ${letter.event_id}  ${letter.stream} ${letter.seq}  ${letter.reason}`,
      );
  }
  if (letters.length === 0 && options.json !== true) console.log('no dead letters');
  return letters.length === 0 ? 0 : 1;
}

async function retry(options: DlqOptions): Promise<number> {
  const answer = await askAgent(options.dataDir, 'POST', `/dlq/retry?${query(options)}`);
  if (!answer.ok) return failed('retry', answer.error);
  const result = answer.value as DeadLetterRetry;
  if (options.json === true) console.log(JSON.stringify(result));
  else console.log(`${result.delivered} delivered, ${result.remaining} stay`);
  return result.remaining === 0 ? 0 : 1;
}

function query(options: DlqOptions): string {
  return new URLSearchParams({
    ...(options.sink === undefined ? {} : { sink: options.sink }),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
  }).toString();
}

function failed(what: string, reason: string): number {
  console.error(`dlq ${what}: ${reason}`);
  return 2;
}
