/** `sealtrail gateway`: runs a gateway in the foreground until it is told to stop. */
import type { Command } from 'commander';
import { formatFault } from './config-check.ts';
import { waitForSignal } from './stopping.ts';

const EXAMPLES = `
Examples:
  $ sealtrail gateway --config /etc/sealtrail/gateway.yaml

Run as many as you like against one stream and one store: they share the work, and take over from one
that ends. Each needs a data_dir of its own. docs/GATEWAY.md has a configuration to start from.

SIGINT and SIGTERM drain and stop within 10 seconds; a second one ends it at once, which loses nothing.
Exit codes: 0 stopped, 1 it could not go on, 2 it could not start.`;

/** Adds the command. */
export function addGatewayCommand(program: Command): void {
  program
    .command('gateway')
    .description('run a gateway: take sealed records out of NATS, verify them, store them')
    .requiredOption('-c, --config <file>', 'configuration file')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { readonly config: string }) => {
      // A connection whose peer does not hang up must not hold up the end.
      process.exit(await runGateway(options.config));
    });
}

async function runGateway(path: string): Promise<number> {
  const { loadGatewayConfig } = await import('../agent/gateway-config.ts');
  const config = await loadGatewayConfig(path, process.env);
  if (!config.ok) {
    for (const fault of config.error) console.error(formatFault(path, fault));
    return 2;
  }
  const stopping = waitForSignal();
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const { createAppLog } = await import('../agent/observe/log.ts');
  const { startGateway } = await import('../agent/gateway.ts');
  const log = createAppLog({ level: config.value.telemetry.log_level, name: config.value.name });
  const started = await startGateway(config.value, log);
  if (!started.ok) {
    console.error(`sealtrail: ${started.error}`);
    return 2;
  }
  const gateway = started.value;
  console.log(`Gateway ${config.value.name} is ready. Health and metrics: ${gateway.adminUrl}`);
  const reason = await Promise.race([
    stopping.then((signal) => ({ code: 0, text: `${signal}: draining and stopping …` })),
    gateway.failed.then((failure) => ({ code: 1, text: failure })),
  ]);
  console.error(`sealtrail: ${reason.text}`);
  await gateway.stop();
  console.error('sealtrail: stopped.');
  return reason.code;
}
