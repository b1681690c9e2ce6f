/** `sealtrail prove`: a file that shows one event to somebody who has nothing but a key. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { proveEvent } from '../agent/checkpoint/proving.ts';
import { messageOf } from '../schemas/result.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';

const EXAMPLES = `
Examples:
  $ sealtrail prove 01J9Z3K5M7Q8R9S0T1V2W3X4Y5 > event.proof
  $ sealtrail prove 01J9Z3K5M7Q8R9S0T1V2W3X4Y5 --out event.proof --data-dir /var/lib/sealtrail
  $ sealtrail check event.proof --trust keys.txt      on any machine

The proof is JSON and holds the event itself: give it to those who may see that. It needs no running agent.
Exit codes: 0 written, 1 there is no such event, or it is under no signed checkpoint yet, 2 the data cannot be read.`;

interface ProveOptions {
  readonly dataDir?: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function addProveCommand(program: Command): void {
  program
    .command('prove')
    .description('write a proof that an event is in the trail, unchanged')
    .argument('<event-id>', 'the event_id, a ULID')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP)
    .option('-o, --out <file>', 'write it there instead of to standard output')
    .option('--json', 'the same: a proof is JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (eventId: string, options: ProveOptions) => {
      process.exitCode = await runProve(eventId, options);
    });
}

async function runProve(eventId: string, { dataDir, out }: ProveOptions): Promise<number> {
  try {
    const proof = await proveEvent(dataDir ?? defaultDataDir(), eventId);
    if (!proof.ok) {
      console.error(`prove: ${proof.error}`);
      return 1;
    }
    if (out === undefined) process.stdout.write(proof.value);
    else await writeFile(out, proof.value);
    return 0;
  } catch (error) {
    console.error(`prove: ${messageOf(error)}`);
    return 2;
  }
}
