/** `sealtrail agent`: runs the agent in the foreground until it is told to stop. */
import { isatty } from 'node:tty';
import type { Command } from 'commander';
import type { Agent } from '../agent/agent-interface.ts';
import { loadConfig, loadVocabularyFile } from '../agent/config.ts';
import type { Loaded } from '../agent/reload.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { describeAgent, describeDatabase } from './banner.ts';
import { formatFault } from './config-check.ts';

const EXAMPLES = `
Examples:
  $ sealtrail agent --config config/sealtrail.yaml
  $ SEALTRAIL_DATA_DIR=/var/lib/sealtrail SEALTRAIL_OTLP_PORT=14318 sealtrail agent -c /etc/sealtrail/sealtrail.yaml

Ctrl-C (SIGINT) and SIGTERM drain and stop within 10 seconds; a second one ends it at once, which loses
nothing that was acked. SIGHUP reads the configuration again and applies what can be applied while running
(\`sealtrail config reload\` does the same and shows what). Exit codes: 0 stopped, 1 it could not go on, 2 it could not start.`;

/** Adds the command. */
export function addAgentCommand(program: Command): void {
  program
    .command('agent')
    .description('run the agent: receive, append, deliver')
    .option('-c, --config <file>', 'configuration file', 'config/sealtrail.yaml')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { readonly config: string }) => {
      process.exitCode = await runAgent(options.config);
    });
}

async function runAgent(path: string): Promise<number> {
  // First of all: a reload that comes while the configuration is read must not end the process.
  const signals = listenForSignals();
  const read = await readAll(path);
  if (!read.ok) {
    for (const fault of read.error) console.error(fault);
    return 2;
  }
  const { config, vocabulary } = read.value;
  // A terminal or pager that went away is no reason to stop taking events: what it would show is lost.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const { createAppLog } = await import('../agent/observe/log.ts');
  const { startAgent } = await import('../agent/agent.ts');
  const log = createAppLog({
    level: config.service.telemetry.log_level,
    name: config.agent.name,
  });
  const started = await startAgent({
    config,
    vocabulary,
    log,
    reread: () => readAll(path),
    onLogLevel: log.setLevel,
  });
  if (!started.ok) {
    console.error(`sealtrail: ${started.error}`);
    return 2;
  }
  const agent = started.value;
  signals.onHangUp(() => void agent.reload());
  console.log(describeAgent(config, agent));
  void agent.database?.then((database) => console.log(describeDatabase(config, database)));
  return runUntilStopped(agent, signals.stopping);
}

/** The configuration and the vocabulary it names, or what is wrong with them, as compilers say it. */
async function readAll(path: string): Promise<Result<Loaded, readonly string[]>> {
  const config = await loadConfig(path, process.env);
  if (!config.ok) return err(config.error.map((fault) => formatFault(path, fault)));
  const file = config.value.agent.vocabulary_file;
  const vocabulary = await loadVocabularyFile(file);
  if (!vocabulary.ok) return err(vocabulary.error.map((fault) => formatFault(file, fault)));
  return ok({ config: config.value, vocabulary: vocabulary.value });
}

async function runUntilStopped(agent: Agent, stopping: Promise<string>): Promise<number> {
  const reason = await Promise.race([
    stopping.then((signal) => ({ code: 0, text: `${signal}: draining and stopping …` })),
    agent.failed.then((failure) => ({ code: 1, text: failure })),
  ]);
  console.error(`sealtrail: ${reason.text}`);
  await agent.stop();
  console.error('sealtrail: stopped.');
  return reason.code;
}

interface Signals {
  /** Settles with the signal that asks to stop. */
  readonly stopping: Promise<string>;
  /** Called at each SIGHUP, and once now for those that came before. */
  onHangUp(reload: () => void): void;
}

/**
 * The first SIGINT or SIGTERM asks to stop, the second one ends the process; SIGHUP asks to reload. A
 * terminal that is closed sends SIGHUP too: whoever ran the agent in it wants it stopped.
 */
function listenForSignals(): Signals {
  const hadTerminal = isatty(0);
  let reload: (() => void) | null = null;
  let isHungUp = false;
  let asked = false;
  let tell: (signal: string) => void = () => undefined;
  const stopping = new Promise<string>((settle) => (tell = settle));
  const stop = (signal: string): void => {
    if (asked) process.exit(1);
    asked = true;
    tell(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(signal));
  process.on('SIGHUP', () => {
    if (asked) return;
    if (hadTerminal && !isatty(0)) stop('SIGHUP, the terminal is gone');
    else if (reload === null) isHungUp = true;
    else reload();
  });
  return {
    stopping,
    onHangUp: (run) => {
      reload = run;
      if (isHungUp) run();
    },
  };
}
