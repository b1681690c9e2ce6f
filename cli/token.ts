/** `sealtrail token`: which tokens stand for a value, under the redaction key in use and under retired ones. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { parseKeyRing, tokensOf } from '../redaction/redaction.ts';
import { messageOf } from '../schemas/result.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';

interface TokenOptions {
  readonly dataDir: string;
  readonly tenant: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail token --tenant acme < ssn.txt            one value a line: its tokens, one a key, the newest first
  $ sealtrail token --tenant acme < ssn.txt | psql …   to look for the events of a person

Values come from standard input only, for other users can read a command line. Official numbers, IBANs and e-mail
addresses have tokens. The keys are those of $SEALTRAIL_REDACTION_KEY, else of keys/redaction.key in the data
directory. A token cannot be turned back into its value.
Exit codes: 0 printed, 2 there is no usable key.`;

/** Adds the command. */
export function addTokenCommand(program: Command): void {
  program
    .command('token')
    .description('print the tokens of values, to look for them in the trail')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--tenant <id>', 'whose events: each tenant has tokens of its own', 'default')
    .option('--json', 'print {line, tokens} a value')
    .addHelpText('after', EXAMPLES)
    .action(async (options: TokenOptions) => {
      process.exitCode = await runToken(options);
    });
}

async function runToken(options: TokenOptions): Promise<number> {
  const path = join(options.dataDir, 'keys', 'redaction.key');
  let text = process.env['SEALTRAIL_REDACTION_KEY'];
  try {
    text ||= await readFile(path, 'utf8');
  } catch (error) {
    console.error(`token: ${messageOf(error)}`);
    return 2;
  }
  const ring = parseKeyRing(text);
  if (!ring.ok) {
    console.error(`token: ${ring.error.message}`);
    return 2;
  }
  let line = 0;
  for await (const value of createInterface({ input: process.stdin })) {
    line += 1;
    if (value.trim() === '') continue;
    const tokens = tokensOf(ring.value, options.tenant, value);
    if (options.json === true) console.log(JSON.stringify({ line, tokens }));
    else for (const token of tokens) console.log(token);
  }
  return 0;
}
