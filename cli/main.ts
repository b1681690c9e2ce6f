#!/usr/bin/env node
/**
 * `sealtrail`: one binary, each command a thin file that is loaded when it is asked for. Exit codes: 0
 * done, 1 the answer is no (broken, refused, invalid), 2 the question could not be answered (usage,
 * unreadable, no agent).
 */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../agent/version.ts';
import { COMMANDS } from './commands.ts';

const program = new Command('sealtrail')
  .description(
    'Audit-log sidecar: an event that was acked is never lost, and any change to it is seen.',
  )
  .version(VERSION, '-V, --version')
  .exitOverride()
  .showHelpAfterError('(run with --help for examples)');

// The program's own options take no values, so the first other word is the command.
const named = process.argv.slice(2).find((word) => !word.startsWith('-')) ?? '';
const isVersionAsked = named === '' && process.argv.some((word) => /^(-V|--version)$/.test(word));
const wanted = Object.hasOwn(COMMANDS, named) ? [named] : Object.keys(COMMANDS);
// Help, and the refusal of a command that there is not, speak of them all.
for (const name of isVersionAsked ? [] : wanted) (await COMMANDS[name]?.())?.(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // --help and --version end here too, with code 0.
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
