/** `sealtrail auditor-key`: makes the key with which an auditor signs certificates. */
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { createCertificateKey } from '../auditor/certificate/key.ts';

const EXAMPLES = `
Examples:
  $ sealtrail auditor-key alice.key                        makes it, for its owner's eyes, and prints the public key
  $ sealtrail auditor-key alice.key --name auditor/alice

Give the public key to those who will read your bundles, in another way than the bundles; keep the file to yourself.
\`sealtrail ask … --export finding.zip --certificate-key alice.key\` signs with it.
Exit codes: 0 made, 1 the file is there already, or cannot be written.`;

/** Adds the command. */
export function addAuditorKeyCommand(program: Command): void {
  program
    .command('auditor-key')
    .description('make a key that signs certificates')
    .argument('<file>', 'where to put it; nothing may be there')
    .option('--name <name>', 'name of the key', `auditor/${userInfo().username}`)
    .option('--json', 'print the public key as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, { name, json }: { name: string; json?: boolean }) => {
      const made = await createCertificateKey(path, name);
      if (!made.ok) {
        console.error(`auditor-key: ${made.error}`);
        process.exitCode = 1;
      } else
        console.log(json === true ? JSON.stringify({ key: made.value.vkey }) : made.value.vkey);
    });
}
