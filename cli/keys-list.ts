/** `sealtrail keys list`: the keys that have signed the streams of an agent, for those who check its proofs. */
import { join } from 'node:path';
import { createKeyFiles } from '../agent/key-files.ts';
import { decodeBase64 } from '../ledger/base64.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { splitRecord } from '../ledger/frame.ts';
import { currentKey, keysOf, type Keys } from '../ledger/keys-note.ts';
import { readLines } from '../ledger/lines.ts';
import { listSegments, segmentName } from '../ledger/segment.ts';
import { formatVkey, KEY_TYPE } from '../ledger/signing.ts';
import { formatWindow } from '../ledger/trust.ts';
import { parseJson } from '../schemas/canonical.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { messageOf } from '../schemas/result.ts';

/** A key, and what it may sign. */
export interface ListedKey {
  readonly vkey: string;
  /** `seen`: in the ledger, and nothing was ever replaced. */
  readonly state: 'seen' | 'current' | 'replaced' | 'revoked';
  /** Empty: everything. */
  readonly windows: readonly {
    readonly origin: string;
    readonly from: string;
    readonly to: string | null;
  }[];
  readonly reason?: string;
}

/** Prints them as a trust file, or as JSON; 0, or 2 when the data cannot be read. */
export async function runList(dataDir: string, json: boolean): Promise<number> {
  try {
    if (json) console.log(JSON.stringify(await listKeys(dataDir), null, 2));
    else {
      const keys = await createKeyFiles(nodeFilesystem, dataDir).readKeys();
      const text =
        keys === null ? (await listSeen(join(dataDir, 'ledger'))).join('\n') : formatTrust(keys);
      console.log(text);
    }
    return 0;
  } catch (error) {
    console.error(`keys list: ${messageOf(error)}`);
    return 2;
  }
}

/** The keys with their windows, replaced and revoked ones too. */
export async function listKeys(
  dataDir: string,
): Promise<{ readonly number: number | null; readonly keys: readonly ListedKey[] }> {
  const keys = await createKeyFiles(nodeFilesystem, dataDir).readKeys();
  const listed =
    keys === null ? (await listSeen(join(dataDir, 'ledger'))).map(describeSeen) : describe(keys);
  return { number: keys?.number ?? null, keys: listed };
}

function formatTrust({ windows, revoked }: Keys): string {
  const gone = revoked.map(({ vkey, time, reason }) => `# revoked ${vkey} ${time} ${reason}\n`);
  const isGone = (vkey: string): boolean => revoked.some((one) => one.vkey === vkey);
  const lines = windows.filter(({ vkey }) => !isGone(vkey)).map(formatWindow);
  return [...gone, ...lines].join('').trimEnd();
}

const describeSeen = (vkey: string): ListedKey => ({ vkey, state: 'seen', windows: [] });

function describe(keys: Keys): readonly ListedKey[] {
  return keysOf(keys).map((vkey) => {
    const revoked = keys.revoked.find((one) => one.vkey === vkey);
    const isCurrent = vkey === currentKey(keys);
    const windows = keys.windows
      .filter((window) => window.vkey === vkey)
      .map(({ origin, from, to }) => ({
        origin,
        from: String(from),
        to: to === null ? null : String(to),
      }));
    const state = revoked !== undefined ? 'revoked' : isCurrent ? 'current' : 'replaced';
    return { vkey, state, windows, ...(revoked !== undefined && { reason: revoked.reason }) };
  });
}

/** Keys that the ledger's genesis records name, in the order in which they came into it. */
async function listSeen(ledgerDir: string): Promise<readonly string[]> {
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
