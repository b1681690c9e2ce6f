#!/usr/bin/env node
/**
 * `sealtrail`: one binary, each command a thin file that is loaded when it is asked for. Exit codes: 0
 * done, 1 the answer is no (broken, refused, invalid), 2 the question could not be answered (usage,
 * unreadable, no agent); 141, as a shell has it, when whoever reads along has gone (`| head`).
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

/** They go on without a reader, or end in a way of their own. */
const UNREAD = new Set(['agent', 'gateway', 'web', 'witness', 'tap', 'top']);
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (UNREAD.has(named)) return;
    // No answer was given: anything but 0, and a disk that is full is no reader that has gone.
    if (error.code !== 'EPIPE') throw error;
    process.exit(141);
  });

// Help, and the refusal of a command that there is not, speak of them all.
for (const name of isVersionAsked ? [] : wanted) (await COMMANDS[name]?.())?.(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // --help and --version end here too, with code 0.
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
