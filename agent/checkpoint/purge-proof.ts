/**
 * What the trees and checkpoints of an agent's data directory know of the beginning of a stream: how far
 * it is signed and in the anchor log, and the compact ranges that stand for records once they are gone.
 */
import { splitRange } from '../../ledger/merkle/shape.ts';
import type { CompactRange } from '../../ledger/merkle/range.ts';
import type { PurgeProof } from '../../ledger/purge-record.ts';
import type { TreeFile } from '../../ledger/tree-file.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { choose, openStreamTree, type Sources } from './proving.ts';

/** Records of a stream that are under a signed checkpoint, and under one in the anchor log. */
export interface SignedSizes {
  readonly signed: number;
  readonly anchored: number;
}

/** How far a stream is signed. The anchor log of an incarnation that is over takes nothing more: signed is enough. */
export async function signedSizes(sources: Sources, stream: string): Promise<SignedSizes> {
  const signed = Number(sources.newest.get(stream)?.size ?? 0n);
  const [, , incarnation = ''] = stream.split('/');
  if (sources.position.anchor?.incarnation !== incarnation) return { signed, anchored: signed };
  const chosen = await choose(sources, stream, 0n, 'newest');
  const isAnchored = chosen !== null && chosen.anchor !== null;
  return { signed, anchored: isAnchored ? Number(chosen.checkpoint.size) : 0 };
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
