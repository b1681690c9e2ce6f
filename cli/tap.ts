/** `sealtrail tap`: looks on while events become durable, or arrive at a sink. */
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { codeOf, messageOf } from '../schemas/result.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { describeLine } from './tap-line.ts';

interface TapOptions {
  readonly dataDir: string;
  readonly sink?: string;
  readonly tenant?: string;
  readonly action?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail tap                                  as events become durable
  $ sealtrail tap --sink elasticsearch --limit 10  as a sink confirms them, or they become its dead letters
  $ sealtrail tap --tenant acme --action 'payment.*' --json | jq .event

It shows what the ledger holds: events after redaction. It never slows the agent: one who looks on too slowly
loses records, and is told how many. Only the agent's own user can open admin.sock.
Exit codes: 0 the limit was reached, or Ctrl-C, 1 the agent ended it, 2 no agent answers.`;

/** Adds the command. */
export function addTapCommand(program: Command): void {
  program
    .command('tap')
    .description('show redacted events live, as they become durable or reach a sink')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--sink <name>', 'as this sink has them')
    .option('--tenant <id>', 'only those of this tenant')
    .option('--action <name>', 'only this action, or with * at the end all that begin so')
    .option('--limit <n>', 'end after so many')
    .option('--json', 'print records as NDJSON, as the ledger has them')
    .addHelpText('after', EXAMPLES)
    .action(async (options: TapOptions) => {
      process.exitCode = await runTap(options);
    });
}

async function runTap(options: TapOptions): Promise<number> {
  // Whoever reads along may go: `tap | head`.
  process.stdout.on('error', () => process.exit(0));
  process.once('SIGINT', () => process.exit(0));
  let answer: IncomingMessage;
  try {
    answer = await ask(options);
  } catch (error) {
    const isNone = ['ENOENT', 'ECONNREFUSED'].includes(codeOf(error));
    const what = isNone
      ? `no agent runs on ${options.dataDir}; start it, or name its data directory with --data-dir`
      : messageOf(error);
    console.error(`tap: ${what}`);
    return 2;
  }
  if (answer.statusCode !== 200) {
    let body = '';
    for await (const chunk of answer) body += String(chunk);
    console.error(`tap: the agent answered ${answer.statusCode ?? 0}: ${body.slice(0, 300)}`);
    return 2;
  }
  return show(answer, options.json === true);
}

async function show(answer: IncomingMessage, isJson: boolean): Promise<number> {
  let code = 0;
  try {
    for await (const line of createInterface({ input: answer })) {
      const { text, note, hasEnded } = describeLine(line);
      if (hasEnded) code = 1;
      if (note !== null) console.error(note);
      if (text === null) continue;
      // A reader that is slow holds up this process, which holds up the tap, and nothing else.
      if (!process.stdout.write(`${isJson ? line : text}\n`))
        await new Promise((drained) => process.stdout.once('drain', drained));
    }
  } catch (error) {
    console.error(`tap: ${messageOf(error)}`);
    return 1;
  }
  return code;
}

function ask({ dataDir, sink, tenant, action, limit }: TapOptions): Promise<IncomingMessage> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ sink, tenant, action, limit }))
    if (value !== undefined) query.set(name, value);
  const socketPath = join(dataDir, 'admin.sock');
  const path = `/tap?${query.toString()}`;
  return new Promise((done, fail) => {
    const asked = request({ socketPath, path, headers: { Host: 'localhost' } }, done);
    asked.on('error', fail);
    asked.end();
  });
}
