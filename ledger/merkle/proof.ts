/**
 * Making proofs, RFC 9162 sections 2.1.3.1 and 2.1.4.1. A plan says which ranges of leaves a proof needs
 * the hash of; whoever has the stored hashes (a file, an array) reads them. A proof takes some 60 reads
 * at most and no pass over the leaves. Pure.
 */
import { joinHashes } from './range.ts';
import { splitPoint, splitRange, type LeafRange, type Subtree } from './shape.ts';
import type { TreeHash } from './hash.ts';

/** The ranges of a proof, in the order of its hashes. */
export type ProofPlan = readonly LeafRange[];

/** Reads the hashes of perfect subtrees, in the order asked for. */
export type ReadHashes = (subtrees: readonly Subtree[]) => Promise<readonly TreeHash[]>;

/** Plans the proof that leaf `index` is in the tree of `size` leaves; null where it is beyond. */
export function planInclusion(index: bigint, size: bigint): ProofPlan | null {
  if (index < 0n || index >= size) return null;
  const plan: LeafRange[] = [];
  let begin = 0n;
  let end = size;
  while (end - begin > 1n) {
    const middle = begin + splitPoint(end - begin);
    const isLeft = index < middle;
    plan.unshift(isLeft ? { begin: middle, end } : { begin, end: middle });
    if (isLeft) end = middle;
    else begin = middle;
  }
  return plan;
}

/**
 * Plans the proof that the tree of `size` leaves begins with that of `earlier` leaves; null where it
 * cannot. From the empty tree, and from a tree to itself, it is empty.
 */
export function planConsistency(earlier: bigint, size: bigint): ProofPlan | null {
  if (earlier < 0n || earlier > size) return null;
  if (earlier === 0n || earlier === size) return [];
  const plan: LeafRange[] = [];
  let begin = 0n;
  let end = size;
  while (earlier !== end) {
    const middle = begin + splitPoint(end - begin);
    const isLeft = earlier <= middle;
    plan.unshift(isLeft ? { begin: middle, end } : { begin, end: middle });
    if (isLeft) end = middle;
    else begin = middle;
  }
  // The earlier tree is itself one side of a split: whoever verifies has its root.
  return begin === 0n ? plan : [{ begin, end }, ...plan];
}

/** The subtrees that a plan needs, for `fillProof` in the same order. */
export function planReads(plan: ProofPlan): readonly Subtree[] {
  return plan.flatMap(splitRange);
}

/** The proof: the hash of each range of the plan, from the hashes that `planReads` asked for. */
export function fillProof(plan: ProofPlan, hashes: readonly TreeHash[]): readonly TreeHash[] {
  let at = 0;
  return plan.map((range) => {
    const from = at;
    at += splitRange(range).length;
    return joinHashes(hashes.slice(from, at));
  });
}

/** Plans, reads and fills. */
export async function readProof(plan: ProofPlan, read: ReadHashes): Promise<readonly TreeHash[]> {
  return fillProof(plan, await read(planReads(plan)));
}
