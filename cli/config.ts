/** `sealtrail config check` and `sealtrail init`: configuration files, before anything runs. */
import type { Command } from 'commander';
import type { ReloadReport } from '../agent/ports.ts';
import { runConfigCheck } from './config-check.ts';
import { runInit } from './init.ts';
import { askAgent, DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';

const CHECK_EXAMPLES = `
Examples:
  $ sealtrail config check config/sealtrail.yaml
  $ sealtrail config check --json /etc/sealtrail/sealtrail.yaml

Exit codes: 0 valid, 1 faults (each with line and column), 2 the file cannot be read.`;

const RELOAD_EXAMPLES = `
Examples:
  $ sealtrail config reload --dry-run      what a reload would apply, and what needs a restart
  $ sealtrail config reload                the same as SIGHUP, with the answer

The running agent reads the file that it was started with. Faults change nothing.
Exit codes: 0 all changes are in force, 1 faults, or some changes need a restart, 2 no agent answers.`;

const INIT_EXAMPLES = `
Examples:
  $ sealtrail init                  writes sealtrail.yaml and vocabulary.json here
  $ sealtrail init /etc/sealtrail

Exit codes: 0 written, 1 a file is there already (--force replaces it), 2 it cannot be written.`;

interface ReloadOptions {
  readonly dataDir: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Adds the command. */
export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('work on configuration files');
  config
    .command('reload')
    .description('let the running agent read its configuration again')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--dry-run', 'only say what a reload would do')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', RELOAD_EXAMPLES)
    .action(async (options: ReloadOptions) => {
      process.exitCode = await runReload(options);
    });
  config
    .command('check')
    .description('check a configuration and the vocabulary it names')
    .argument('[file]', 'configuration file', 'config/sealtrail.yaml')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', CHECK_EXAMPLES)
    .action(async (path: string, options: { readonly json?: boolean }) => {
      process.exitCode = await runConfigCheck({
        path,
        json: options.json === true,
        env: process.env,
        out: (line) => console.log(line),
        err: (line) => console.error(line),
      });
    });
}

/** Adds the command. */
export function addInitCommand(program: Command): void {
  program
    .command('init')
    .description('write a commented configuration and a vocabulary to start from')
    .argument('[dir]', 'where to', '.')
    .option('--force', 'replace files that are there')
    .addHelpText('after', INIT_EXAMPLES)
    .action(async (dir: string, options: { readonly force?: boolean }) => {
      process.exitCode = await runInit({
        dir,
        force: options.force === true,
        say: (line) => console.log(line),
      });
    });
}

async function runReload({ dataDir, dryRun, json }: ReloadOptions): Promise<number> {
  const answer = await (dryRun === true
    ? askAgent(dataDir, 'GET', '/reload')
    : askAgent(dataDir, 'POST', '/reload/now'));
  if (!answer.ok) {
    console.error(`config reload: ${answer.error}`);
    return 2;
  }
  // The agent is of this build: its answer has this form.
  const report = answer.value as ReloadReport;
  const { ok, faults, applied, needs_restart: waiting } = report;
  if (json === true) console.log(JSON.stringify(report, null, 2));
  else {
    for (const fault of faults) console.error(fault);
    if (!ok) console.error('nothing is changed; what was in force stays');
    const word = dryRun === true ? 'would apply' : 'applied';
    if (ok) console.log(`${word.padEnd(16)}${applied.join(', ') || 'nothing'}`);
    if (waiting.length > 0) console.log(`${'needs a restart'.padEnd(16)}${waiting.join(', ')}`);
  }
  return ok && waiting.length === 0 ? 0 : 1;
}
