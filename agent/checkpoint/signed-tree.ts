/**
 * A tree that is signed as it grows, held to what was signed before. After a start it grows again over sizes
 * that are signed already: at that size it must have that root. So whatever happens to the ledger or to the
 * tree's file, no second root is ever signed for a size, and no checkpoint that the old one does not lead to.
 */
import { isSameHash, type TreeHash } from '../../ledger/merkle/hash.ts';
import type { Checkpoint } from '../../ledger/checkpoint.ts';
import type { TreeFile } from '../../ledger/tree-file.ts';
import type { SignedCheckpoint } from './journal.ts';

export interface SignedTree {
  readonly origin: string;
  readonly tree: TreeFile;
  append(leaf: TreeHash): void;
  /** What is to be signed next; null when there is nothing new, or nothing may be signed. */
  due(): Checkpoint | null;
  /** The newest checkpoint. */
  signed(): SignedCheckpoint | null;
  /** The checkpoint is signed and durable. */
  noteSigned(checkpoint: SignedCheckpoint): void;
  /** Nothing more is signed: what is there contradicts what was signed, or itself. */
  stop(reason: string): void;
  /** Why nothing more is signed; null while all is well. */
  stopped(): string | null;
}

/** Holds a tree to the newest checkpoint of its log. */
export function createSignedTree(
  origin: string,
  tree: TreeFile,
  newest: SignedCheckpoint | null,
): SignedTree {
  let signed = newest;
  let reason: string | null = null;

  function compare(): void {
    if (signed === null || reason !== null || tree.size() !== signed.size) return;
    if (!isSameHash(tree.root(), signed.root))
      reason = `at size ${signed.size} the tree of ${origin} does not have the root that was signed`;
  }

  compare();
  return {
    origin,
    tree,
    append: (leaf) => {
      tree.append(leaf);
      compare();
    },
    due: () => {
      const size = tree.size();
      if (reason !== null || size <= (signed?.size ?? 0n)) return null;
      return { origin, size, root: tree.root() };
    },
    signed: () => signed,
    noteSigned: (checkpoint) => (signed = checkpoint),
    stop: (why) => (reason ??= why),
    stopped: () => reason,
  };
}
