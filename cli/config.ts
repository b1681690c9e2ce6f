/** `sealtrail config check` and `sealtrail init`: configuration files, before anything runs. */
import type { Command } from 'commander';
import { runConfigCheck } from './config-check.ts';
import { runInit } from './init.ts';

const CHECK_EXAMPLES = `
Examples:
  $ sealtrail config check config/sealtrail.yaml
  $ sealtrail config check --json /etc/sealtrail/sealtrail.yaml

Exit codes: 0 valid, 1 faults (each with line and column), 2 the file cannot be read.`;

const INIT_EXAMPLES = `
Examples:
  $ sealtrail init                  writes sealtrail.yaml and vocabulary.json here
  $ sealtrail init /etc/sealtrail

Exit codes: 0 written, 1 a file is there already (--force replaces it), 2 it cannot be written.`;

/** Adds the command. */
export function addConfigCommand(program: Command): void {
  program
    .command('config')
    .description('work on configuration files')
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
