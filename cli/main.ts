#!/usr/bin/env node
/**
 * `sealtrail`: one binary, each command a thin file that is loaded when it is asked for. Exit codes: 0
 * done, 1 the answer is no (broken, refused, invalid), 2 the question could not be answered (usage,
 * unreadable, no agent).
 */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../agent/version.ts';

/** Each command's module, loaded when it is asked for: only `agent` pays for loading the agent. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  agent: async () => (await import('./agent.ts')).addAgentCommand,
  emit: async () => (await import('./emit.ts')).addEmitCommand,
  verify: async () => (await import('./verify.ts')).addVerifyCommand,
  prove: async () => (await import('./prove.ts')).addProveCommand,
  check: async () => (await import('./check.ts')).addCheckCommand,
  hold: async () => (await import('./hold.ts')).addHoldCommand,
  retention: async () => (await import('./retention.ts')).addRetentionCommand,
  keys: async () => (await import('./keys.ts')).addKeysCommand,
  status: async () => (await import('./status.ts')).addStatusCommand,
  top: async () => (await import('./top.ts')).addTopCommand,
  tap: async () => (await import('./tap.ts')).addTapCommand,
  config: async () => (await import('./config.ts')).addConfigCommand,
  dlq: async () => (await import('./dlq.ts')).addDlqCommand,
  archive: async () => (await import('./archive.ts')).addArchiveCommand,
  restore: async () => (await import('./restore.ts')).addRestoreCommand,
  setup: async () => (await import('./setup.ts')).addSetupCommand,
  token: async () => (await import('./token.ts')).addTokenCommand,
  vault: async () => (await import('./vault.ts')).addVaultCommand,
  subject: async () => (await import('./subject.ts')).addSubjectCommand,
  erase: async () => (await import('./erase.ts')).addEraseCommand,
  witness: async () => (await import('./witness.ts')).addWitnessCommand,
  gateway: async () => (await import('./gateway.ts')).addGatewayCommand,
  init: async () => (await import('./config.ts')).addInitCommand,
};

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
