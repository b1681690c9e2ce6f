/**
 * Verifying proofs, RFC 9162 sections 2.1.3.2 and 2.1.4.2. Strict: a proof that is longer or shorter than
 * the sizes ask for proves nothing, whatever it hashes to. Pure.
 */
import { EMPTY_ROOT, HASH_BYTES, hashNode, isSameHash, type TreeHash } from './hash.ts';

export interface InclusionClaim {
  readonly index: bigint;
  readonly size: bigint;
  readonly root: TreeHash;
  readonly leaf: TreeHash;
  readonly proof: readonly TreeHash[];
}

export interface ConsistencyClaim {
  readonly size1: bigint;
  readonly size2: bigint;
  readonly root1: TreeHash;
  readonly root2: TreeHash;
  readonly proof: readonly TreeHash[];
}

/** Whether the leaf stands at `index` of the tree with that size and root. */
export function verifyInclusion({ index, size, root, leaf, proof }: InclusionClaim): boolean {
  if (index < 0n || index >= size || ![root, leaf, ...proof].every(isHash)) return false;
  let at = index;
  let last = size - 1n;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0n) return false;
    if ((at & 1n) === 1n || at === last) {
      hash = hashNode(sibling, hash);
      // At the right edge the levels without a sibling take nothing from the proof.
      while ((at & 1n) === 0n && at !== 0n) {
        at >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = hashNode(hash, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  return last === 0n && isSameHash(hash, root);
}

/**
 * Whether the second tree begins with all of the first. The empty tree has one root only, and from it to
 * a larger tree there is nothing to prove: whoever knew nothing before MUST NOT ask.
 */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  const { size1, size2, root1, root2, proof } = claim;
  if (size1 < 0n || size1 > size2) return false;
  if (size1 === 0n && !isSameHash(root1, EMPTY_ROOT)) return false;
  if (size1 === size2) return proof.length === 0 && isSameHash(root1, root2);
  if (size1 === 0n || ![root1, root2, ...proof].every(isHash)) return false;
  let at = size1 - 1n;
  let last = size2 - 1n;
  while ((at & 1n) === 1n) {
    at >>= 1n;
    last >>= 1n;
  }
  // `at` is 0 where the first tree is a perfect one: then its root opens the proof unsaid.
  const [seed, ...rest] = at === 0n ? [root1, ...proof] : proof;
  if (seed === undefined) return false;
  let hash1 = seed;
  let hash2 = seed;
  for (const sibling of rest) {
    if (last === 0n) return false;
    if ((at & 1n) === 1n || at === last) {
      hash1 = hashNode(sibling, hash1);
      hash2 = hashNode(sibling, hash2);
      while ((at & 1n) === 0n && at !== 0n) {
        at >>= 1n;
        last >>= 1n;
      }
    } else {
      hash2 = hashNode(hash2, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  return last === 0n && isSameHash(hash1, root1) && isSameHash(hash2, root2);
}

function isHash({ length }: TreeHash): boolean {
  return length === HASH_BYTES;
}
