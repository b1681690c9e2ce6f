/** The commands of `sealtrail`, in the order of its help. */
import type { Command } from 'commander';

/** Each command's module, loaded when it is asked for: only `agent` pays for loading the agent. */
export const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  agent: async () => (await import('./agent.ts')).addAgentCommand,
  emit: async () => (await import('./emit.ts')).addEmitCommand,
  ask: async () => (await import('./ask.ts')).addAskCommand,
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
