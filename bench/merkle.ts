/**
 * `npm run bench -- merkle`: what the tree costs. Appending is hashing, so it is measured on real leaves;
 * a proof over ten million leaves reads stored hashes, so for those any bytes do. Figures are CPU of this
 * process, which others on the machine disturb least.
 */
import { randomBytes } from 'node:crypto';
import { hashRecordLeaf, type TreeHash } from '../ledger/merkle/hash.ts';
import { planConsistency, planInclusion, readProof } from '../ledger/merkle/proof.ts';
import { createRange } from '../ledger/merkle/range.ts';
import { storedPlace, type Subtree } from '../ledger/merkle/shape.ts';
import { verifyConsistency, verifyInclusion } from '../ledger/merkle/verify-proof.ts';
import { chainHash } from '../schemas/brand.ts';

export interface MerkleRow {
  readonly what: string;
  readonly us: number;
}

const PROOF_LEAVES = 10_000_000n;
const PROOFS = 2_000;

/** Measures for about so many seconds a row. */
export async function runMerkle(
  seconds: number,
  say: (line: string) => void,
): Promise<readonly MerkleRow[]> {
  const rows: MerkleRow[] = [];
  const note = (what: string, us: number): void => {
    rows.push({ what, us });
    say(`${what.padEnd(52)} ${us.toFixed(2)} us`);
  };
  note('append a record to the tree: leaf, nodes, stored order', measureAppend(seconds));
  for (const [what, us] of await measureProofs()) note(what, us);
  return rows;
}

function measureAppend(seconds: number): number {
  const hashes = Array.from({ length: 1_000 }, () => chainHash(randomBytes(32).toString('hex')));
  const stored = Buffer.alloc(2_000 * 32);
  let at = 0;
  const keep = (hash: TreeHash): void => {
    stored.set(hash, (at % 2_000) * 32);
    at += 1;
  };
  const tree = createRange();
  const until = performance.now() + seconds * 1_000;
  const begun = process.cpuUsage();
  while (performance.now() < until)
    for (const hash of hashes) tree.append(hashRecordLeaf(hash), keep);
  return cpuSince(begun) / Number(tree.end());
}

async function measureProofs(): Promise<readonly (readonly [string, number])[]> {
  const bytes = randomBytes(32 * 4_096);
  // As a file would be read: a place is computed, and 32 bytes are taken from there.
  const read = (subtrees: readonly Subtree[]): Promise<TreeHash[]> =>
    Promise.resolve(
      subtrees.map((one) => {
        const at = Number(storedPlace(one) % 4_096n) * 32;
        return bytes.subarray(at, at + 32);
      }),
    );
  const size = PROOF_LEAVES;
  const root = bytes.subarray(0, 32);
  const leaf = root;
  const indexes = Array.from({ length: PROOFS }, (_, at) => (BigInt(at) * size) / BigInt(PROOFS));
  const included: (readonly TreeHash[])[] = [];
  const consistent: (readonly TreeHash[])[] = [];
  const makeInclusion = await timed(async () => {
    for (const index of indexes)
      included.push(await readProof(planInclusion(index, size) ?? [], read));
  });
  const makeConsistency = await timed(async () => {
    for (const index of indexes)
      consistent.push(await readProof(planConsistency(index + 1n, size) ?? [], read));
  });
  const inclusion = await timed(() => {
    for (const [at, proof] of included.entries())
      verifyInclusion({ index: indexes[at] ?? 0n, size, root, leaf, proof });
  });
  const consistency = await timed(() => {
    for (const [at, proof] of consistent.entries())
      verifyConsistency({
        size1: (indexes[at] ?? 0n) + 1n,
        size2: size,
        root1: root,
        root2: root,
        proof,
      });
  });
  return [
    ['make an inclusion proof in 10 M leaves', makeInclusion],
    ['make a consistency proof to 10 M leaves', makeConsistency],
    ['verify an inclusion proof', inclusion],
    ['verify a consistency proof', consistency],
  ];
}

/** Microseconds a proof. */
async function timed(run: () => void | Promise<void>): Promise<number> {
  const begun = process.cpuUsage();
  await run();
  return cpuSince(begun) / PROOFS;
}

function cpuSince(begun: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begun);
  return user + system;
}
