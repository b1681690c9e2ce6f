/**
 * What the trees and checkpoints of an agent's data directory know of the beginning of a stream: how far
 * it is signed and in the anchor log, and the compact ranges that stand for records once they are gone.
 */
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { splitRange } from '../../ledger/merkle/shape.ts';
import type { CompactRange } from '../../ledger/merkle/range.ts';
import type { PurgeProof } from '../../ledger/purge-record.ts';
import type { TreeFile } from '../../ledger/tree-file.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { anchorPaths } from './anchor-log.ts';
import { findLast } from './anchor-search.ts';
import { readEvidenceLines } from './anchors/evidence-file.ts';
import { choose, openStreamTree, type Sources } from './proving.ts';

/** Records of a stream that are under a signed checkpoint, and under one in the anchor log. */
export interface SignedSizes {
  readonly signed: number;
  readonly anchored: number;
}

/**
 * How far a stream is signed, and in the anchor log; with a quorum, in what so many anchors have of that. The
 * anchor log of an incarnation that is over takes nothing more: signed is enough.
 */
export async function signedSizes(
  sources: Sources,
  stream: string,
  quorum: number,
): Promise<SignedSizes> {
  const { dir, newest, position } = sources;
  const signed = Number(newest.get(stream)?.size ?? 0n);
  const [log, agent, incarnation = ''] = stream.split('/');
  if (position.anchor?.incarnation !== incarnation) return { signed, anchored: signed };
  const leaves =
    quorum === 0
      ? (newest.get(`${log}/${agent}/${incarnation}`)?.size ?? 0n)
      : await leavesAtQuorum(dir, incarnation, quorum);
  return { signed, anchored: await sizeInLeaves(dir, incarnation, stream, leaves) };
}

/** Leaves of the anchor log that so many anchors have, each in the newest checkpoint that it took. */
async function leavesAtQuorum(dir: string, incarnation: string, quorum: number): Promise<bigint> {
  const largest = new Map<string, bigint>();
  for await (const { size, evidence } of readEvidenceLines(nodeFilesystem, dir, incarnation))
    if (size > (largest.get(evidence.anchor) ?? 0n)) largest.set(evidence.anchor, size);
  const descending = [...largest.values()].sort((one, other) => (one > other ? -1 : 1));
  return descending[quorum - 1] ?? 0n;
}

/** Size of the stream's newest checkpoint in the first leaves of the anchor log. */
async function sizeInLeaves(
  dir: string,
  incarnation: string,
  stream: string,
  leaves: bigint,
): Promise<number> {
  if (leaves === 0n) return 0;
  const path = anchorPaths(dir, incarnation).entries;
  const newest = await findLast(nodeFilesystem, path, { stream, seq: -1n, size: leaves });
  return Number(newest?.note.split('\n')[1] ?? 0);
}

/** The proof of a purge of [0, size) that leaves nothing of [0, base). */
export async function provePurge(
  sources: Sources,
  stream: string,
  { size, base }: { readonly size: number; readonly base: number },
): Promise<Result<PurgeProof, string>> {
  const chosen = await choose(sources, stream, BigInt(size) - 1n);
  if (chosen === null) return err(`no signed checkpoint of ${stream} covers ${size} records`);
  const tree = await openStreamTree(sources, stream, chosen.checkpoint.size);
  if (!tree.ok) return tree;
  return ok({
    range: await readRange(tree.value, BigInt(size)),
    base_range: await readRange(tree.value, BigInt(base)),
    checkpoint: chosen.note,
  });
}

async function readRange(tree: TreeFile, end: bigint): Promise<CompactRange> {
  const bounds = { begin: 0n, end };
  return { ...bounds, hashes: await tree.read(splitRange(bounds)) };
}
