/** A checkpoint of the anchor log as anchors get it: with its tree behind it, for what they ask of it. */
import { EMPTY_ROOT } from '../../../ledger/merkle/hash.ts';
import { planConsistency, readProof } from '../../../ledger/merkle/proof.ts';
import type { TreeFile } from '../../../ledger/tree-file.ts';
import type { SignedCheckpoint } from '../journal.ts';
import type { Publication } from './anchor.ts';

/** Joins them; the tree may grow on. Both questions reject with the system's error. */
export function publicationOf(
  { origin, size, root, note }: Pick<SignedCheckpoint, 'origin' | 'size' | 'root' | 'note'>,
  tree: Pick<TreeFile, 'read'>,
): Publication {
  return {
    checkpoint: { origin, size, root },
    note,
    proveConsistency: (earlier) => readProof(planConsistency(earlier, size) ?? [], tree.read),
    rootAt: async (at) => {
      if (at === 0n) return EMPTY_ROOT;
      const [hash = EMPTY_ROOT] = await readProof([{ begin: 0n, end: at }], tree.read);
      return hash;
    },
  };
}
