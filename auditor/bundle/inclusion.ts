/** Proofs of single records, from what a certificate lists of their stream: the list and a compact range on either side. Pure. */
import { formatProof } from '../../ledger/proof-file.ts';
import { formatRecord } from '../../ledger/frame.ts';
import { HASH_BYTES, hashNode, type TreeHash } from '../../ledger/merkle/hash.ts';
import { fillProof, planInclusion, planReads } from '../../ledger/merkle/proof.ts';
import { rangeOfLeaves } from '../../ledger/merkle/range.ts';
import { splitRange, type Subtree } from '../../ledger/merkle/shape.ts';
import { chainHash } from '../../schemas/brand.ts';
import type { RecordOfRow } from '../answer.ts';
import type { StreamProof } from '../certificate/certificate.ts';

/** So small a subtree is computed from its leaves each time; larger ones are kept. */
const KEPT_FROM_LEVEL = 6;

export interface Inclusions {
  /** The proof file of a record of the range; null where no checkpoint covers it. */
  prove(record: RecordOfRow): string | null;
}

/** Prepares them; `leaves` are the leaf hashes of the list, side by side. */
export function createInclusions(proof: StreamProof, leaves: Buffer): Inclusions {
  const { first, last, tree, checkpoint } = proof;
  if (tree === null || checkpoint === null) return { prove: () => null };
  const size = BigInt(tree.size);
  const [begin, end] = [BigInt(first), BigInt(Math.min(last, tree.size))];
  const known = new Map<string, TreeHash>();
  const keyOf = ({ level, index }: Subtree): string => `${level}/${index}`;
  const note = (from: bigint, to: bigint, hashes: readonly string[]): void => {
    for (const [at, subtree] of splitRange({ begin: from, end: to }).entries())
      known.set(keyOf(subtree), Buffer.from(hashes[at] ?? '', 'hex'));
  };
  note(0n, begin < size ? begin : size, tree.left);
  if (size > end) note(end, size, tree.right);

  function hashOf(subtree: Subtree): TreeHash {
    const { level, index } = subtree;
    const found = known.get(keyOf(subtree));
    if (found !== undefined) return found;
    const from = index << BigInt(level);
    const to = (index + 1n) << BigInt(level);
    if (level <= KEPT_FROM_LEVEL && from >= begin && to <= end) return ofLeaves(from, to);
    const hash = hashNode(
      hashOf({ level: level - 1, index: index * 2n }),
      hashOf({ level: level - 1, index: index * 2n + 1n }),
    );
    if (level >= KEPT_FROM_LEVEL) known.set(keyOf(subtree), hash);
    return hash;
  }

  function ofLeaves(from: bigint, to: bigint): TreeHash {
    const at = (place: bigint): number => Number(place - begin) * HASH_BYTES;
    // It is overwritten.
    const copy = Buffer.from(leaves.subarray(at(from), at(to)));
    return rangeOfLeaves(from, copy).hashes[0] ?? copy;
  }

  return {
    prove: ({ seq, event_bytes, prev_hash, this_hash }) => {
      const plan = BigInt(seq) < begin ? null : planInclusion(BigInt(seq), size);
      if (plan === null) return null;
      const record = formatRecord(event_bytes, chainHash(prev_hash), chainHash(this_hash));
      const inclusion = fillProof(plan, planReads(plan).map(hashOf));
      return formatProof({ record: record.slice(0, -1), checkpoint, inclusion, anchor: null });
    },
  };
}
