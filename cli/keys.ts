/** `sealtrail keys list`: the public keys that an agent's streams name, for those who check its proofs. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { decodeBase64 } from '../ledger/base64.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { splitRecord } from '../ledger/frame.ts';
import { readLines } from '../ledger/lines.ts';
import { listSegments, segmentName } from '../ledger/segment.ts';
import { formatVkey, KEY_TYPE } from '../ledger/signing.ts';
import { parseJson } from '../schemas/canonical.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { messageOf } from '../schemas/result.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';

const EXAMPLES = `
Examples:
  $ sealtrail keys list > keys.txt       on the agent's host; then carry it to where proofs are checked
  $ sealtrail keys list --json

A line a key, as \`sealtrail check --trust\` reads it, from the genesis records of the ledger: no secret is read.
Note the key when the agent is set up. Taken from the host on the day of a dispute it proves what that host says.
Exit codes: 0 done, 2 the data cannot be read.`;

interface ListOptions {
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function addKeysCommand(program: Command): void {
  program
    .command('keys')
    .description("the agent's signing keys")
    .command('list')
    .description('print the public keys that sign the streams of an agent')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP)
    .option('--json', 'print them as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: ListOptions) => {
      process.exitCode = await runList(options);
    });
}

async function runList({ dataDir, json }: ListOptions): Promise<number> {
  try {
    const vkeys = await listKeys(join(dataDir ?? defaultDataDir(), 'ledger'));
    if (json === true) console.log(JSON.stringify({ keys: vkeys }, null, 2));
    else for (const vkey of vkeys) console.log(vkey);
    return 0;
  } catch (error) {
    console.error(`keys: ${messageOf(error)}`);
    return 2;
  }
}

/** Keys in the order in which they came into the ledger. */
async function listKeys(ledgerDir: string): Promise<readonly string[]> {
  const vkeys = new Set<string>();
  for (const first of listSegments(await nodeFilesystem.list(ledgerDir))) {
    const file = await nodeFilesystem.openRead(join(ledgerDir, segmentName(first)));
    try {
      for await (const lines of readLines(file, 0, await file.size())) {
        for (const { bytes } of lines) {
          const vkey = bytes.includes('"ledger.genesis"') ? keyOf(bytes.toString('utf8')) : null;
          if (vkey !== null) vkeys.add(vkey);
        }
      }
    } finally {
      await file.close();
    }
  }
  return [...vkeys];
}

function keyOf(line: string): string | null {
  const text = splitRecord(line);
  const event = text && (parseJson(text.eventText) as unknown as SealedEvent);
  // Only a genesis record stands at the head of a stream; another event may speak of one.
  if (event?.event.action !== 'ledger.genesis' || event.chain.seq !== 0) return null;
  const { agent, public_key } = event.metadata;
  const key = typeof public_key === 'string' ? decodeBase64(public_key) : null;
  if (key === null || typeof agent !== 'string') return null;
  return formatVkey(`sealtrail/${agent}`, KEY_TYPE.log, key);
}
