/**
 * Compact ranges: the hashes of the perfect subtrees that make up leaves [begin, end), which is all that
 * a tree must remember to grow (at most 64 hashes), what a purged prefix leaves behind, and what a
 * certificate shows of the leaves beside its own. Pure.
 *
 * Appending a leaf costs its own hash and, on average, that of one node; see bench/merkle.ts.
 */
import { assert } from '../../schemas/result.ts';
import { EMPTY_ROOT, HASH_BYTES, hashNode, joinInPlace, type TreeHash } from './hash.ts';
import { splitRange, type LeafRange } from './shape.ts';

export interface CompactRange extends LeafRange {
  /** One a perfect subtree, from left to right. */
  readonly hashes: readonly TreeHash[];
}

export interface RangeBuilder {
  /** Appends the next leaf; `onNode` gets its hash and then each node that it completes. */
  append(leaf: TreeHash, onNode?: (hash: TreeHash) => void): void;
  /** Appends a range that MUST begin where this one ends. */
  merge(right: CompactRange): void;
  end(): bigint;
  range(): CompactRange;
  /** The root over all leaves. The range MUST begin at 0. */
  root(): TreeHash;
}

const LOW_BITS = 32;

/** The range of no leaves at the beginning of a tree. */
export const EMPTY_RANGE: CompactRange = { begin: 0n, end: 0n, hashes: [] };

/** Whether a range from outside has the form that its bounds ask for. Says nothing of its truth. */
export function isCompactRange({ begin, end, hashes }: CompactRange): boolean {
  if (begin < 0n || end < begin) return false;
  return (
    hashes.length === splitRange({ begin, end }).length &&
    hashes.every(({ length }) => length === HASH_BYTES)
  );
}

/** Creates a builder that goes on from a range. */
export function createRange(from: CompactRange = EMPTY_RANGE): RangeBuilder {
  assert(isCompactRange(from), 'a compact range has a hash for each of its subtrees');
  const { begin } = from;
  let { end } = from;
  const hashes = [...from.hashes];
  const levels = splitRange(from).map(({ level }) => level);
  // The low bits of the end once more: a leaf asks for two of them on average, and each BigInt is an allocation.
  let low = Number(BigInt.asUintN(LOW_BITS, end));

  /** Whether a subtree of this level, which would be next, is a right child. */
  function isRight(level: number): boolean {
    return level < LOW_BITS ? ((low >>> level) & 1) === 1 : ((end >> BigInt(level)) & 1n) === 1n;
  }

  /** Adds a perfect subtree at the end, and joins it with its left siblings. */
  function push(hash: TreeHash, level: number, onNode?: (hash: TreeHash) => void): void {
    onNode?.(hash);
    let node = hash;
    let height = level;
    // The sibling of a right child is the last one, or before the range.
    for (; isRight(height) && levels.at(-1) === height; height += 1) {
      const left = hashes.pop();
      levels.pop();
      assert(left !== undefined, 'each level has its hash');
      node = hashNode(left, node);
      onNode?.(node);
    }
    hashes.push(node);
    levels.push(height);
    end += level === 0 ? 1n : 1n << BigInt(level);
    if (level < LOW_BITS) low = (low + 2 ** level) % 2 ** LOW_BITS;
  }

  return {
    append: (leaf, onNode) => push(leaf, 0, onNode),
    merge: (right) => {
      assert(right.begin === end && isCompactRange(right), 'ranges meet end to beginning');
      for (const [at, { level }] of splitRange(right).entries()) {
        const hash = right.hashes[at];
        if (hash !== undefined) push(hash, level);
      }
    },
    end: () => end,
    range: () => ({ begin, end, hashes: [...hashes] }),
    root: () => {
      assert(begin === 0n, 'a root is over all leaves');
      return joinHashes(hashes);
    },
  };
}

/** The hash over subtrees side by side that end a tree: joined from the right, as RFC 9162 splits. */
export function joinHashes(hashes: readonly TreeHash[]): TreeHash {
  const last = hashes.at(-1);
  if (last === undefined) return EMPTY_ROOT;
  return hashes.slice(0, -1).reduceRight((right, left) => hashNode(left, right), last);
}

/** The range of leaves that begin with number `begin`, their hashes side by side in `leaves`, which is overwritten. */
export function rangeOfLeaves(begin: bigint, leaves: Buffer): CompactRange {
  const end = begin + BigInt(leaves.length / HASH_BYTES);
  let at = 0;
  const hashes = splitRange({ begin, end }).map(({ level }) => {
    const from = at;
    at += 2 ** level * HASH_BYTES;
    return rootOfPerfect(leaves.subarray(from, at));
  });
  return { begin, end, hashes };
}

/** Joins pairs until one is left; there MUST be 2^n of them. */
function rootOfPerfect(hashes: Buffer): TreeHash {
  for (let bytes = hashes.length; bytes > HASH_BYTES; bytes /= 2)
    for (let from = 0; from < bytes; from += 2 * HASH_BYTES) joinInPlace(hashes, from, from / 2);
  return Buffer.from(hashes.subarray(0, HASH_BYTES));
}
