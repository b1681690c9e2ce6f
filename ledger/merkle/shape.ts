/**
 * The shape of a Merkle tree (RFC 9162 section 2.1): which perfect subtrees make up a range of leaves,
 * and where each one's hash lies when hashes are stored in the order in which they become known. Pure
 * arithmetic, on BigInt: sizes may pass 2^53.
 *
 *   level 2          6
 *   level 1      2       5        9       the number of a hash in storage: each leaf is followed
 *   level 0    0   1   3   4    7   8     by the nodes that it completes
 *   leaf       0   1   2   3    4   5
 */

/** A perfect subtree: the 2^level leaves from index * 2^level on. */
export interface Subtree {
  readonly level: number;
  readonly index: bigint;
}

/** Leaves [begin, end). */
export interface LeafRange {
  readonly begin: bigint;
  readonly end: bigint;
}

/** The fewest perfect subtrees that make up a range, from left to right: 2 * 64 at most. */
export function splitRange({ begin, end }: LeafRange): readonly Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = begin; at < end;) {
    const level = at === 0n ? floorLog2(end) : Math.min(trailingZeros(at), floorLog2(end - at));
    subtrees.push({ level, index: at >> BigInt(level) });
    at += 1n << BigInt(level);
  }
  return subtrees;
}

/** The largest power of two below `size`, which MUST be more than 1: where RFC 9162 splits a tree. */
export function splitPoint(size: bigint): bigint {
  return 1n << BigInt(floorLog2(size - 1n));
}

/** How many hashes are stored for so many leaves. */
export function storedCount(leaves: bigint): bigint {
  return 2n * leaves - BigInt(countOnes(leaves));
}

/** The number in storage of a subtree's hash. */
export function storedPlace({ level, index }: Subtree): bigint {
  const lastLeaf = ((index + 1n) << BigInt(level)) - 1n;
  return storedCount(lastLeaf) + BigInt(level);
}

/** How many leaves make so many stored hashes or fewer: what a file cut anywhere still holds. */
export function leavesWithin(hashes: bigint): bigint {
  let leaves = hashes / 2n;
  while (storedCount(leaves + 1n) <= hashes) leaves += 1n;
  return leaves;
}

/** Number of ones in binary: also the number of perfect subtrees of a tree of this size. */
export function countOnes(value: bigint): number {
  return value.toString(2).replaceAll('0', '').length;
}

function floorLog2(value: bigint): number {
  return value.toString(2).length - 1;
}

function trailingZeros(value: bigint): number {
  const digits = value.toString(2);
  return digits.length - 1 - digits.lastIndexOf('1');
}
