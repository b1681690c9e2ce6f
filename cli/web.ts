/** `sealtrail web`: the auditor's page, in the foreground until it is told to stop. */
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { messageOf } from '../schemas/result.ts';
import { formatFault } from './config-check.ts';
import { DATA_DIR_OPTION } from './options.ts';
import { waitForSignal } from './stopping.ts';
import type { WebFlags } from './web-config.ts';

const EXAMPLES = `
Examples:
  $ sealtrail web                                        over the embedded store of ./data
  $ sealtrail web --store postgresql://db.internal/sealtrail --trust keys.txt
  $ sealtrail web --config /etc/sealtrail/web.yaml       TLS, people, OpenID Connect: docs/WEB.md
  $ sealtrail web hash-password < password.txt           a line for the people of that file

People sign in with the database login that \`sealtrail auditor grant\` gave them, or as the file says; whatever they
ask runs as that login, so that the store itself keeps them to their tenants. It listens on 127.0.0.1 alone; from
elsewhere it wants TLS, or a proxy that the file names.

SIGINT and SIGTERM end it, and all sessions. Exit codes: 0 stopped, 2 it could not start.`;

const HASH_EXAMPLES = `
Examples:
  $ sealtrail web hash-password < password.txt
  $ sealtrail web hash-password            type it, then Enter and Ctrl-D

Exit codes: 0 printed, 1 the password is too short.`;

interface WebOptions extends WebFlags {
  readonly config?: string;
}

/** Adds the command. */
export function addWebCommand(program: Command): void {
  const web = program
    .command('web')
    .description('serve the page on which auditors ask, and operators see the health of the agent')
    .option('-c, --config <file>', 'configuration file')
    .option('--listen <host:port>', 'where to listen (default: 127.0.0.1:8443)')
    .option('--store <url>', 'the store, without user and password (default: the embedded one)')
    .option(
      DATA_DIR_OPTION,
      "the agent's data directory, for proofs and health (default: $SEALTRAIL_DATA_DIR or ./data)",
    )
    .option('--trust <keys>', 'file with the keys that signatures are judged by')
    .option(
      '--certificate-key <file>',
      'key that signs the bundles (default: keys/page.key of the data directory, made at the first start)',
    )
    .option('--operator <name...>', "who may see the agent's health")
    .addHelpText('after', EXAMPLES)
    .action(async (options: WebOptions) => {
      process.exit(await runWeb(options));
    });
  web
    .command('hash-password')
    .description('read a password from standard input, and print its scrypt hash')
    .addHelpText('after', HASH_EXAMPLES)
    .action(async () => {
      process.exitCode = await runHash();
    });
}

async function runHash(): Promise<number> {
  if (process.stdin.isTTY) console.error('Type the password, then Enter and Ctrl-D; it is shown.');
  const password = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (password.length < 12) {
    console.error('hash-password: the password must have 12 characters or more');
    return 1;
  }
  const { hashPassword } = await import('../auditor/web/passwords.ts');
  console.log(await hashPassword(password));
  return 0;
}

async function runWeb(options: WebOptions): Promise<number> {
  const { config: file = null, ...flags } = options;
  const { loadWebConfig } = await import('./web-config.ts');
  const config = await loadWebConfig(file, flags, process.env);
  if (!config.ok) {
    for (const fault of config.error) console.error(formatFault(file ?? 'web', fault));
    return 2;
  }
  const stopping = waitForSignal();
  const { createWebServer } = await import('../auditor/web/server.ts');
  const { createWebPorts } = await import('./web-ports.ts');
  const ports = await createWebPorts(config.value);
  if (!ports.ok) {
    console.error(`web: ${ports.error}`);
    return 2;
  }
  const server = await createWebServer(ports.value);
  const { host, port } = config.value.listen;
  try {
    console.log(`The page is at ${await server.listen({ host, port })}`);
    const { bundleKey } = ports.value;
    if (bundleKey !== null) console.log(`Its bundles are signed with ${bundleKey}`);
  } catch (error) {
    console.error(`web: cannot listen on ${host}:${port}: ${messageOf(error)}`);
    return 2;
  }
  console.error(`sealtrail: ${await stopping}: stopping …`);
  await server.stop();
  return 0;
}
