#!/usr/bin/env node
/**
 * `sealtrail`: one binary, each command a thin file. Exit codes: 0 done, 1 the answer is no (broken,
 * refused, invalid), 2 the question could not be answered (usage, unreadable, no agent).
 */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../agent/version.ts';
import { addAgentCommand } from './agent.ts';
import { addConfigCommand, addInitCommand } from './config.ts';
import { addDlqCommand } from './dlq.ts';
import { addEmitCommand } from './emit.ts';
import { addGatewayCommand } from './gateway.ts';
import { addStatusCommand } from './status.ts';
import { addVerifyCommand } from './verify.ts';

const program = new Command('sealtrail')
  .description(
    'Audit-log sidecar: an event that was acked is never lost, and any change to it is seen.',
  )
  .version(VERSION, '-V, --version')
  .exitOverride()
  .showHelpAfterError('(run with --help for examples)');

for (const add of [
  addAgentCommand,
  addEmitCommand,
  addVerifyCommand,
  addStatusCommand,
  addConfigCommand,
  addDlqCommand,
  addInitCommand,
  addGatewayCommand,
])
  add(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // --help and --version end here too, with code 0.
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
