/** A ledger with signed checkpoints and an anchor log, and what an attacker with the source code does to it. */
import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readKnown, type KnownSources } from '../../agent/checkpoint/known.ts';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { formatRecord, splitRecord } from '../../ledger/frame.ts';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { signNote } from '../../ledger/note.ts';
import {
  createLogSigner,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../../ledger/signing.ts';
import { rehash } from '../../ledger/content-check.ts';
import { parseTrust, type Trust } from '../../ledger/trust.ts';
import type { Known } from '../../ledger/verify/known.ts';
import { chainHash, GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import type { Receipt, SealedEvent } from '../../schemas/record.ts';
import { createFakeClock, startTestStage, TEST_SIGNER } from '../support/checkpoints.ts';
import { makeEvent } from '../support/events.ts';
import { openTestLedger } from '../support/ledger.ts';

/** Records of one tenant besides the genesis. */
export const RECORDS = 24;

export interface Trail {
  /** Every receipt that was given, by seq. */
  readonly receipts: readonly Receipt[];
  readonly stream: string;
}

/** Writes a trail below `dir` as an agent does; a checkpoint and an anchor round every eight records. */
export async function writeTrail(
  dir: string,
  { segments = 1 }: { readonly segments?: 1 | 3 } = {},
): Promise<Trail> {
  await mkdir(join(dir, 'ledger'));
  await mkdir(join(dir, 'checkpoints'));
  await writeFile(join(dir, 'checkpoints', 'blinding.key'), Buffer.alloc(32, 7).toString('hex'));
  const ledger = await openTestLedger(join(dir, 'ledger'));
  const clock = createFakeClock();
  const receipts: Receipt[] = [];
  const { stage } = await startTestStage(dir, { clock, durable: 0 });
  for (let n = 0; n < RECORDS; n++) {
    const given = await ledger.commit([makeEvent({ metadata: { amount: n } })]);
    if (typeof given === 'string') throw new Error(given);
    receipts.push(...given);
    if (n % 8 === 7) {
      stage.notifyDurable(n + 2);
      await stage.settled();
      clock.advance(61_000);
      await stage.settled();
    }
    // In the middle between two checkpoints, and a millisecond later.
    if (segments === 3 && n % 8 === 3 && n > 8) {
      await ledger.cut();
      for (const begun = Date.now(); Date.now() === begun;);
    }
  }
  await stage.stop();
  await ledger.writer.close();
  return { receipts, stream: receipts[0]?.stream ?? '' };
}

/** A copy that an attacker may have. */
export async function copyTrail(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true });
}

/** What an auditor knows of a folder, with the agent's real key unless told otherwise. */
export async function knownOf(dir: string, more: Partial<KnownSources> = {}): Promise<Known> {
  return readKnown({
    dir: join(dir, 'checkpoints'),
    files: [],
    receipts: [],
    trust: trustOf(TEST_SIGNER.vkey),
    policy: null,
    ...more,
  });
}

export function trustOf(...lines: readonly string[]): Trust {
  const trust = parseTrust(lines.join('\n'));
  if (!trust.ok) throw new Error(trust.error);
  return trust.value;
}

/** Lines of the only segment. */
export async function linesOf(dir: string): Promise<string[]> {
  return (await readFile(await segmentOf(dir), 'utf8')).split('\n').slice(0, -1);
}

export async function writeLines(dir: string, lines: readonly string[]): Promise<void> {
  await writeFile(await segmentOf(dir), lines.map((line) => `${line}\n`).join(''));
}

async function segmentOf(dir: string): Promise<string> {
  const [name = ''] = (await readdir(join(dir, 'ledger'))).filter((one) => one.endsWith('.ndjson'));
  return join(dir, 'ledger', name);
}

/** Changes the events of some records, by index, and seals these and all that follow again, as the agent would. */
export function resealed(
  lines: readonly string[],
  change: (eventText: string, index: number) => string,
): string[] {
  let head = GENESIS_PREV_HASH;
  return lines.map((line, index) => {
    const record = splitRecord(line);
    if (record === null) throw new Error('no record');
    const text = change(record.eventText, index);
    const hash = chainHash(rehash(head, text));
    const sealed = formatRecord(text, head, hash).slice(0, -1);
    head = hash;
    return sealed;
  });
}

/** Another signer of the same name. */
export function createSigner(): NoteSigner {
  const key = generateKeyPairSync('ed25519').privateKey;
  return createLogSigner('sealtrail/test', publicBytesOf(key), signWithKey(key));
}

/** A checkpoint over the first `size` of these records. */
export async function checkpointOver(
  lines: readonly string[],
  size: number,
  signers: readonly NoteSigner[],
): Promise<string> {
  const tree = createRange();
  for (const line of lines.slice(0, size)) tree.append(hashRecordLeaf(partsOf(line).this_hash));
  const root = tree.root();
  const { chain } = JSON.parse(partsOf(lines[0] ?? '').eventText) as SealedEvent;
  return signNote(formatCheckpoint({ origin: chain.stream, size: BigInt(size), root }), signers);
}

function partsOf(line: string): NonNullable<ReturnType<typeof splitRecord>> {
  const record = splitRecord(line);
  if (record === null) throw new Error('no record');
  return record;
}

/** The journal as an attacker writes it. */
export async function writeJournal(dir: string, notes: readonly string[]): Promise<void> {
  const lines = notes.map((note) => `${JSON.stringify({ head: null, note })}\n`);
  await writeFile(join(dir, 'checkpoints', 'journal.ndjson'), lines.join(''));
}

/** Receipts as an application keeps them. */
export function receiptFile(receipts: readonly Receipt[]): { name: string; text: string } {
  return { name: 'receipts', text: receipts.map((one) => `${JSON.stringify(one)}\n`).join('') };
}
