import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { chainHash } from '../../../schemas/brand.ts';
import {
  EMPTY_ROOT,
  hashLeaf,
  hashRecordLeaf,
  writeRecordLeaf,
  type TreeHash,
} from '../../../ledger/merkle/hash.ts';
import { planConsistency, planInclusion, readProof } from '../../../ledger/merkle/proof.ts';
import { createRange, isCompactRange, rangeOfLeaves } from '../../../ledger/merkle/range.ts';
import {
  leavesWithin,
  splitRange,
  storedCount,
  storedPlace,
} from '../../../ledger/merkle/shape.ts';
import { verifyConsistency, verifyInclusion } from '../../../ledger/merkle/verify-proof.ts';
import { naiveConsistency, naiveInclusion, naiveRoot } from '../../support/naive-tree.ts';

const LEAVES_MAX = 100;
const leaves = Array.from({ length: LEAVES_MAX }, (_, at) => hashLeaf(Buffer.from(`leaf ${at}`)));
/** All hashes of the tree, in the order in which they are stored. */
const stored: TreeHash[] = [];
const grown = createRange();
for (const leaf of leaves) grown.append(leaf, (hash) => stored.push(hash));
const hex = (hashes: readonly TreeHash[]): string[] =>
  hashes.map((hash) => Buffer.from(hash).toString('hex'));

const read = (subtrees: Parameters<Parameters<typeof readProof>[1]>[0]): Promise<TreeHash[]> =>
  Promise.resolve(subtrees.map((one) => stored[Number(storedPlace(one))] ?? EMPTY_ROOT));

const sizes = fc
  .tuple(fc.integer({ min: 1, max: LEAVES_MAX }), fc.nat(LEAVES_MAX))
  .map(([size, other]) => ({ size, below: other % size }));

test('the leaf of a record is the hash of the 32 bytes of its this_hash', () => {
  const thisHash = chainHash('ab'.repeat(32));
  expect(hashRecordLeaf(thisHash)).toEqual(hashLeaf(Buffer.from(thisHash, 'hex')));
  const bytes = Buffer.alloc(96);
  writeRecordLeaf(thisHash, bytes, 32);
  expect(bytes.subarray(32, 64)).toEqual(hashRecordLeaf(thisHash));
});

test('the root of each size is that of the definition, grown leaf by leaf', () => {
  const range = createRange();
  expect(hex([range.root()])).toEqual(hex([naiveRoot([])]));
  for (const [at, leaf] of leaves.entries()) {
    range.append(leaf);
    expect(hex([range.root()])).toEqual(hex([naiveRoot(leaves.slice(0, at + 1))]));
  }
});

test('a range cut anywhere and merged again is the same, and goes on from what was kept of it', () => {
  fc.assert(
    fc.property(sizes, fc.nat(LEAVES_MAX), ({ size, below }, cut) => {
      const begin = Math.min(cut, below);
      const middle = createRange({ begin: BigInt(begin), end: BigInt(begin), hashes: [] });
      for (const leaf of leaves.slice(begin, below)) middle.append(leaf);
      const right = createRange({ begin: BigInt(below), end: BigInt(below), hashes: [] });
      for (const leaf of leaves.slice(below, size)) right.append(leaf);
      middle.merge(right.range());
      const whole = createRange();
      for (const leaf of leaves.slice(0, begin)) whole.append(leaf);
      // The same out of leaves that lie side by side.
      const bytes = Buffer.concat(leaves.slice(begin, size));
      expect(rangeOfLeaves(BigInt(begin), bytes)).toEqual(middle.range());
      const resumed = createRange(whole.range());
      resumed.merge(middle.range());
      expect(hex([resumed.root()])).toEqual(hex([naiveRoot(leaves.slice(0, size))]));
    }),
  );
});

test('a stored hash lies where its subtree says, and a range is read from storage as it was grown', async () => {
  for (let size = 0; size <= LEAVES_MAX; size += 1) {
    const range = createRange();
    for (const leaf of leaves.slice(0, size)) range.append(leaf);
    const subtrees = splitRange({ begin: 0n, end: BigInt(size) });
    expect(hex(await read(subtrees))).toEqual(hex(range.range().hashes));
  }
  expect(storedCount(BigInt(LEAVES_MAX))).toBe(BigInt(stored.length));
});

test('storage cut at any hash holds the whole leaves before the cut', () => {
  let whole = 0n;
  for (let hashes = 0n; hashes < 2_000n; hashes += 1n) {
    if (storedCount(whole + 1n) <= hashes) whole += 1n;
    expect(leavesWithin(hashes)).toBe(whole);
  }
  expect(leavesWithin(storedCount(2n ** 60n) + 1n)).toBe(2n ** 60n + 1n);
});

test('a compact range from outside is refused unless it has a hash for each subtree', () => {
  expect(isCompactRange(grown.range())).toBe(true);
  const { begin, end, hashes } = grown.range();
  expect(isCompactRange({ begin, end, hashes: hashes.slice(1) })).toBe(false);
  expect(isCompactRange({ begin, end: end + 1n, hashes })).toBe(false);
  expect(isCompactRange({ begin: end, end: begin, hashes: [] })).toBe(false);
  expect(isCompactRange({ begin: 0n, end: 1n, hashes: [new Uint8Array(31)] })).toBe(false);
});

test('an inclusion proof is that of the definition, verifies, and for no other leaf, place or size', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), async ({ size, below: index }, spoil) => {
      const plan = planInclusion(BigInt(index), BigInt(size));
      const proof = await readProof(plan ?? [], read);
      expect(hex(proof)).toEqual(hex(naiveInclusion(index, leaves.slice(0, size))));
      const root = naiveRoot(leaves.slice(0, size));
      const leaf = leaves[index] ?? EMPTY_ROOT;
      const claim = { index: BigInt(index), size: BigInt(size), root, leaf, proof };
      expect(verifyInclusion(claim)).toBe(true);
      for (const wrong of [
        { leaf: leaves[(index + 1) % LEAVES_MAX] ?? EMPTY_ROOT },
        { index: claim.index + 1n },
        { index: claim.index - 1n },
        { root: flip(root, spoil) },
        { proof: [...proof, root] },
        { proof: [leaf, ...proof] },
        ...proof.map((one, at) => ({ proof: proof.with(at, flip(one, spoil)) })),
        ...proof.map((_, at) => ({ proof: proof.toSpliced(at, 1) })),
      ])
        expect(verifyInclusion({ ...claim, ...wrong })).toBe(false);
    }),
  );
});

test('a consistency proof is that of the definition, verifies, and for no other pair of trees', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), async ({ size, below }, spoil) => {
      const earlier = below + 1;
      const plan = planConsistency(BigInt(earlier), BigInt(size));
      const proof = await readProof(plan ?? [], read);
      expect(hex(proof)).toEqual(hex(naiveConsistency(earlier, leaves.slice(0, size))));
      const root1 = naiveRoot(leaves.slice(0, earlier));
      const root2 = naiveRoot(leaves.slice(0, size));
      const claim = { size1: BigInt(earlier), size2: BigInt(size), root1, root2, proof };
      expect(verifyConsistency(claim)).toBe(true);
      for (const wrong of [
        { root1: flip(root1, spoil) },
        { root2: flip(root2, spoil) },
        { size1: claim.size1 - 1n },
        { size1: claim.size2 + 1n },
        { proof: [...proof, root1] },
        ...proof.map((one, at) => ({ proof: proof.with(at, flip(one, spoil)) })),
        ...proof.map((_, at) => ({ proof: proof.toSpliced(at, 1) })),
      ])
        expect(verifyConsistency({ ...claim, ...wrong })).toBe(false);
    }),
  );
});

test('beyond the tree there is nothing to prove', () => {
  expect(planInclusion(5n, 5n)).toBeNull();
  expect(planInclusion(-1n, 5n)).toBeNull();
  expect(planConsistency(6n, 5n)).toBeNull();
  expect(planConsistency(0n, 5n)).toEqual([]);
});

test('a tree of 2^62 leaves is planned exactly: no size is rounded', () => {
  const size = 2n ** 62n + 3n;
  expect(planInclusion(size - 1n, size)).toEqual([
    { begin: 2n ** 62n, end: size - 1n },
    { begin: 0n, end: 2n ** 62n },
  ]);
  expect(planConsistency(2n ** 62n, size)).toEqual([{ begin: 2n ** 62n, end: size }]);
});

function flip(hash: TreeHash, at: number): TreeHash {
  const bytes = Uint8Array.from(hash);
  const byte = at % bytes.length;
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << (at % 8));
  return bytes;
}
