/** A checkpoint stage over a real ledger, with a clock that a test moves. */
import { generateKeyPairSync } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  startStage,
  type CheckpointSettings,
  type Stage,
  type StageClock,
} from '../../agent/checkpoint/stage.ts';
import type { Logger } from '../../agent/ports.ts';
import { parseCheckpoint, verifyCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { hashLeaf, isSameHash, type TreeHash } from '../../ledger/merkle/hash.ts';
import { parseNote } from '../../ledger/note.ts';
import {
  createLogSigner,
  parseVkey,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
  type NoteVerifier,
} from '../../ledger/signing.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { silentLog } from './append-stage.ts';
import { naiveRoot } from './naive-tree.ts';

export interface FakeClock extends StageClock {
  /** Moves the time; what is due by then is called, in its order. */
  advance(ms: number): void;
  /** Sets the clock by so much; timers do not notice. */
  set(ms: number): void;
}

export function createFakeClock(): FakeClock {
  let nowMs = Date.UTC(2026, 2, 1);
  let passedMs = 0;
  const timers = new Map<object, { readonly atMs: number; readonly run: () => void }>();
  return {
    nowMs: () => nowMs,
    after: (ms, run) => {
      const timer = {};
      timers.set(timer, { atMs: passedMs + ms, run });
      return () => void timers.delete(timer);
    },
    advance: (ms) => {
      nowMs += ms;
      passedMs += ms;
      const due = [...timers].filter(([, { atMs }]) => atMs <= passedMs);
      for (const [timer, { run }] of due) {
        timers.delete(timer);
        run();
      }
    },
    set: (ms) => void (nowMs += ms),
  };
}

const key = generateKeyPairSync('ed25519').privateKey;
export const TEST_SIGNER: NoteSigner = createLogSigner(
  'sealtrail/test',
  publicBytesOf(key),
  signWithKey(key),
);
const parsed = parseVkey(TEST_SIGNER.vkey);
if (!parsed.ok) throw new Error(parsed.error);
export const TEST_LOG_KEY: NoteVerifier = parsed.value;
export const TEST_INCARNATION: string = 'f'.repeat(32);
export const SETTINGS: CheckpointSettings = {
  interval_ms: 1_000,
  records_max: 1_024,
  anchor_interval_ms: 60_000,
};

export interface StageRun {
  readonly stage: Stage;
  readonly failures: string[];
}

/** Starts a stage over `<dir>/ledger`, with its files in `<dir>/checkpoints`. */
export async function startTestStage(
  dir: string,
  options: {
    readonly clock: StageClock;
    readonly durable: number;
    readonly filesystem?: Filesystem;
    readonly settings?: Partial<CheckpointSettings>;
    readonly log?: Logger;
  },
): Promise<StageRun> {
  const failures: string[] = [];
  const stage = await startStage({
    dir: join(dir, 'checkpoints'),
    ledgerDir: join(dir, 'ledger'),
    filesystem: options.filesystem ?? nodeFilesystem,
    clock: options.clock,
    agent: 'test',
    incarnation: TEST_INCARNATION,
    blindingKey: Buffer.alloc(32, 7),
    signers: [TEST_SIGNER],
    settings: { ...SETTINGS, ...options.settings },
    durable: options.durable,
    log: options.log ?? silentLog,
    onFailed: (reason) => void failures.push(reason),
  });
  return { stage, failures };
}

/** Every checkpoint in the journal of a folder, whole lines only. */
export async function journalOf(
  dir: string,
): Promise<readonly (Checkpoint & { readonly note: string })[]> {
  const path = join(dir, 'checkpoints', 'journal.ndjson');
  if (!(await nodeFilesystem.exists(path))) return [];
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => {
    const { note } = JSON.parse(line) as { note: string };
    const opened = parseNote(note);
    const checkpoint = opened.ok ? parseCheckpoint(opened.value.text) : null;
    if (checkpoint === null) throw new Error(`no checkpoint: ${line}`);
    return { ...checkpoint, note };
  });
}

/** Leaf hashes of each stream, read off the ledger by plain means. */
export async function leavesOf(dir: string): Promise<ReadonlyMap<string, readonly TreeHash[]>> {
  const leaves = new Map<string, TreeHash[]>();
  const names = (await readdir(join(dir, 'ledger'))).filter((name) => name.endsWith('.ndjson'));
  for (const name of names.sort()) {
    const text = await readFile(join(dir, 'ledger', name), 'utf8');
    for (const line of text.split('\n').slice(0, -1)) {
      const record = JSON.parse(line) as SealedRecord;
      const { stream } = record.event.chain;
      const known = leaves.get(stream) ?? [];
      leaves.set(stream, known);
      known.push(hashLeaf(Buffer.from(record.this_hash, 'hex')));
    }
  }
  return leaves;
}

/** Leaves of the anchor log, in their order. */
export async function anchorLeavesOf(dir: string): Promise<readonly string[]> {
  const path = join(dir, 'checkpoints', 'anchor', `${TEST_INCARNATION}.ndjson`);
  if (!(await nodeFilesystem.exists(path))) return [];
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => (JSON.parse(line) as { leaf: string }).leaf);
}

/** What is wrong with checkpoints: each must be signed, and have the root of the records there are. */
export async function faultsOf(
  dir: string,
  checkpoints: readonly (Checkpoint & { readonly note: string })[],
): Promise<readonly string[]> {
  const leaves = new Map(await leavesOf(dir));
  const anchored = (await anchorLeavesOf(dir)).map((leaf) => hashLeaf(Buffer.from(leaf)));
  leaves.set(`sealtrail/test/${TEST_INCARNATION}`, anchored);
  return checkpoints.flatMap(({ origin, size, root, note }) => {
    const verified = verifyCheckpoint(note, { origin, logKeys: [TEST_LOG_KEY] });
    const own = leaves.get(origin) ?? [];
    if (!verified.ok) return [`${origin} ${size}: ${verified.error.message}`];
    if (own.length < size) return [`${origin}: signed to ${size}, and holds ${own.length}`];
    const isRight = isSameHash(naiveRoot(own.slice(0, Number(size))), root);
    return isRight ? [] : [`${origin}: another root at ${size}`];
  });
}
