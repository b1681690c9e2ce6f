/** The program of a command line: all commands, of which the one that is asked for is loaded. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../agent/version.ts';
import { COMMANDS } from './commands.ts';

/** The command that a line names; empty: none. The program's own options take no values, so it is the first other word. */
export function commandOf(words: readonly string[]): string {
  return words.find((word) => !word.startsWith('-')) ?? '';
}

/** Runs a command line to its end and leaves its exit code with the process. Rejects with what no command expects. */
export async function runCommandLine(words: readonly string[]): Promise<void> {
  const program = new Command('sealtrail')
    .description(
      'Audit-log sidecar: an event that was acked is never lost, and any change to it is seen.',
    )
    .version(VERSION, '-V, --version')
    .exitOverride()
    .showHelpAfterError('(run with --help for examples)');
  const named = commandOf(words);
  const isVersionAsked = named === '' && words.some((word) => /^(-V|--version)$/.test(word));
  const wanted = Object.hasOwn(COMMANDS, named) ? [named] : Object.keys(COMMANDS);
  // Help, and the refusal of a command that there is not, speak of them all.
  for (const name of isVersionAsked ? [] : wanted) (await COMMANDS[name]?.())?.(program);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // --help and --version end here too, with code 0.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}
