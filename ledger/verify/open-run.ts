/** A run of consecutive records while it grows: its head, and its tree in parts that end where something is known. Pure. */
import type { ChainHash } from '../../schemas/brand.ts';
import { HASH_BYTES, writeRecordLeaf } from '../merkle/hash.ts';
import { rangeOfLeaves } from '../merkle/range.ts';
import type { Run, RunPart } from './summary.ts';

export interface OpenRun {
  readonly first: number;
  readonly prev_hash: ChainHash;
  next: number;
  head: ChainHash;
  lastLine: number;
  readonly parts: RunPart[];
  /** Of the part under way, side by side, with room for more; null: no tree is grown. */
  leaves: Buffer | null;
  partFirst: number;
  /** Sizes that are known, and which of them is next. */
  readonly known: readonly number[];
  knownAt: number;
}

/** Begins a run in front of its first record. `known`: ascending sizes at which it is cut; null: no tree is grown. */
export function beginRun(
  first: number,
  prev_hash: ChainHash,
  known: readonly number[] | null,
): OpenRun {
  let knownAt = 0;
  while ((known?.[knownAt] ?? Infinity) <= first) knownAt += 1;
  const leaves = known === null ? null : Buffer.alloc(HASH_BYTES);
  const begun = { first, prev_hash, parts: [], leaves, partFirst: first, known: known ?? [] };
  return { ...begun, knownAt, next: first, head: prev_hash, lastLine: 0 };
}

/** Adds the run's next record. */
export function addRecord(run: OpenRun, this_hash: ChainHash, line: number): void {
  if (run.leaves !== null) addLeaf(run, run.leaves, this_hash);
  run.next += 1;
  run.head = this_hash;
  run.lastLine = line;
  if (run.known[run.knownAt] === run.next) {
    run.knownAt += 1;
    endPart(run);
  }
}

/** Ends the run behind its last record. */
export function closeRun(stream: string, run: OpenRun): Run {
  if (run.partFirst < run.next) endPart(run);
  const { first, prev_hash, parts } = run;
  return { stream, first, prev_hash, parts };
}

function addLeaf(run: OpenRun, leaves: Buffer, hash: ChainHash): void {
  const at = (run.next - run.partFirst) * HASH_BYTES;
  const room = at < leaves.length ? leaves : Buffer.concat([leaves], 2 * at);
  writeRecordLeaf(hash, room, at);
  run.leaves = room;
}

function endPart(run: OpenRun): void {
  const { next: end, head, lastLine, partFirst } = run;
  const leaves = run.leaves?.subarray(0, (end - partFirst) * HASH_BYTES);
  run.parts.push({
    end,
    head,
    lastLine,
    range: leaves === undefined ? null : rangeOfLeaves(BigInt(partFirst), leaves),
  });
  run.partFirst = end;
}
