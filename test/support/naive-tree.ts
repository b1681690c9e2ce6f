/**
 * The Merkle tree as RFC 9162 section 2.1 defines it, word for word and with another SHA-256: slow, and
 * the oracle for the one that is not.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import type { TreeHash } from '../../ledger/merkle/hash.ts';

const hash = (...parts: readonly Uint8Array[]): Uint8Array =>
  sha256(Uint8Array.from(Buffer.concat(parts)));

/** The largest power of two smaller than n. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH(D[n]), over leaf hashes. */
export function naiveRoot(leaves: readonly TreeHash[]): TreeHash {
  const [first] = leaves;
  if (first === undefined) return hash();
  if (leaves.length === 1) return first;
  const k = split(leaves.length);
  return hash(Uint8Array.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

/** PATH(m, D[n]). */
export function naiveInclusion(m: number, leaves: readonly TreeHash[]): readonly TreeHash[] {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
  return m < k
    ? [...naiveInclusion(m, left), naiveRoot(right)]
    : [...naiveInclusion(m - k, right), naiveRoot(left)];
}

/** PROOF(m, D[n]) for 0 < m <= n. */
export function naiveConsistency(m: number, leaves: readonly TreeHash[]): readonly TreeHash[] {
  return subproof(m, leaves, true);
}

function subproof(m: number, leaves: readonly TreeHash[], isWhole: boolean): readonly TreeHash[] {
  if (m === leaves.length) return isWhole ? [] : [naiveRoot(leaves)];
  const k = split(leaves.length);
  const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
  return m <= k
    ? [...subproof(m, left, isWhole), naiveRoot(right)]
    : [...subproof(m - k, right, false), naiveRoot(left)];
}
