/** `sealtrail witness`: a witness on the host of a second administrator, in the foreground. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { waitForSignal } from './stopping.ts';

const EXAMPLES = `
Examples:
  $ sealtrail witness --data-dir /var/lib/sealtrail-witness --trust keys.txt
  $ sealtrail witness -d /var/lib/sealtrail-witness --trust keys.txt --listen 0.0.0.0:8700 --tls-cert w.pem --tls-key w.key

keys.txt holds the keys of the agents that it watches, a line each, as \`sealtrail keys list\` prints them; it is read
again at each request. At its start the witness prints its own key: that goes into the agents' configuration (anchors)
and into the policy of \`sealtrail check\`. It speaks C2SP tlog-witness, for other logs as well. Run it where the
administrators of the agents have no rights; what it keeps must not be put back to an older copy.

SIGINT and SIGTERM stop it. Exit codes: 0 stopped, 2 it could not start.`;

interface WitnessCommandOptions {
  readonly dataDir: string;
  readonly trust: string;
  readonly listen: string;
  readonly name?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Adds the command. */
export function addWitnessCommand(program: Command): void {
  program
    .command('witness')
    .description("cosign the checkpoints of other hosts' agents")
    .requiredOption('-d, --data-dir <dir>', 'folder of its key and its memory')
    .requiredOption('--trust <keys>', 'file with the keys of the logs')
    .option('--listen <host:port>', 'where it listens', '127.0.0.1:8700')
    .option('--name <name>', "name of its key, for good; default: the host's name")
    .option('--tls-cert <file>', 'certificate chain, PEM; required beyond loopback')
    .option('--tls-key <file>', 'its private key, PEM')
    .addHelpText('after', EXAMPLES)
    .action(async (options: WitnessCommandOptions) => {
      process.exit(await runWitness(options));
    });
}

async function runWitness(options: WitnessCommandOptions): Promise<number> {
  const { dataDir, trust, listen, name = hostname(), tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    console.error('sealtrail: --tls-cert and --tls-key belong together');
    return 2;
  }
  const { createAppLog } = await import('../agent/observe/log.ts');
  const { startWitness } = await import('../agent/witness.ts');
  const stopping = waitForSignal();
  const started = await startWitness({
    dataDir: resolve(dataDir),
    listen,
    trustFile: resolve(trust),
    name,
    ...(tlsCert !== undefined && tlsKey !== undefined
      ? { tls: { certFile: tlsCert, keyFile: tlsKey } }
      : {}),
    log: createAppLog({ level: 'info', name }),
  });
  if (!started.ok) {
    console.error(`sealtrail: ${started.error}`);
    return 2;
  }
  console.log(`Witness ${name} is ready at ${started.value.url}`);
  console.log(started.value.vkey);
  console.error(`sealtrail: ${await stopping}: stopping …`);
  await started.value.stop();
  return 0;
}
