/** `sealtrail agent`: runs the agent in the foreground until it is told to stop. */
import type { Command } from 'commander';
import { startAgent, type Agent } from '../agent/agent.ts';
import { loadConfig, loadVocabularyFile } from '../agent/config.ts';
import { createAppLog } from '../agent/observe/log.ts';
import { describeAgent, describeDatabase } from './banner.ts';
import { formatFault } from './config-check.ts';

const EXAMPLES = `
Examples:
  $ sealtrail agent --config config/sealtrail.yaml
  $ SEALTRAIL_DATA_DIR=/var/lib/sealtrail SEALTRAIL_OTLP_PORT=14318 sealtrail agent -c /etc/sealtrail/sealtrail.yaml

Ctrl-C (SIGINT) and SIGTERM drain and stop within 10 seconds; a second one ends it at once, which loses
nothing that was acked. Exit codes: 0 stopped, 1 it could not go on, 2 it could not start.`;

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
  const config = await loadConfig(path, process.env);
  if (!config.ok) {
    for (const fault of config.error) console.error(formatFault(path, fault));
    return 2;
  }
  const vocabularyFile = config.value.agent.vocabulary_file;
  const vocabulary = await loadVocabularyFile(vocabularyFile);
  if (!vocabulary.ok) {
    for (const fault of vocabulary.error) console.error(formatFault(vocabularyFile, fault));
    return 2;
  }
  const stopping = waitForSignal();
  // A terminal or pager that went away is no reason to stop taking events: what it would show is lost.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const log = createAppLog({
    level: config.value.service.telemetry.log_level,
    name: config.value.agent.name,
  });
  const started = await startAgent({ config: config.value, vocabulary: vocabulary.value, log });
  if (!started.ok) {
    console.error(`sealtrail: ${started.error}`);
    return 2;
  }
  const agent = started.value;
  console.log(describeAgent(config.value, agent));
  void agent.database?.then((database) => console.log(describeDatabase(config.value, database)));
  return runUntilStopped(agent, stopping);
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

/** The first SIGINT or SIGTERM asks, the second one ends the process. */
function waitForSignal(): Promise<string> {
  return new Promise((tell) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1);
        asked = true;
        tell(signal);
      });
    }
  });
}
