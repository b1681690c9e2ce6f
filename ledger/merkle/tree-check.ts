/**
 * The check of a stream against checkpoints that are trusted: the tree is grown from the this_hash of each
 * record, and at each trusted size it must have the trusted root. So it sees what no chain can show of
 * itself, a tail that was cut off and a history that was sealed again. Pure.
 */
import type { ChainHash } from '../../schemas/brand.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { hashRecordLeaf, isSameHash } from './hash.ts';
import { createRange, EMPTY_RANGE, type CompactRange } from './range.ts';

export type TreeVerdict =
  /** All checkpoints hold; records from `verifiedTo` on are under none of them. */
  | { readonly kind: 'ok'; readonly verifiedTo: bigint }
  /** The stream ends at `size`, before a trusted size. */
  | {
      readonly kind: 'truncated';
      readonly size: bigint;
      readonly trusted: bigint;
      readonly verifiedTo: bigint;
    }
  /** At this trusted size the tree has another root: what was sealed is not what stands here. */
  | { readonly kind: 'root_differs'; readonly trusted: bigint; readonly verifiedTo: bigint };

export interface TreeCheck {
  /** Takes the stream's next record. */
  take(thisHash: ChainHash): void;
  /** Takes the stream's next records; a trusted size among them goes by unseen, so parts MUST end there. */
  takeRange(range: CompactRange): void;
  /** Leaves so far. */
  size(): bigint;
  /** The first trusted size at which the tree has another root, so far; null: none. */
  differs(): bigint | null;
  /** The largest trusted size at which it had the root, so far; 0: none. */
  fitsTo(): bigint;
  /** After the last record. */
  conclude(): TreeVerdict;
}

/**
 * Begins the check of one stream, at its first record or behind a range of which the first root will tell whether
 * it is right, against verified checkpoints of that stream.
 */
export function createTreeCheck(
  trusted: readonly Checkpoint[],
  base: CompactRange = EMPTY_RANGE,
): TreeCheck {
  const range = createRange(base);
  // Of sizes within the base nothing can be told.
  const due = trusted
    .filter(({ size }) => size >= range.end())
    .sort((one, other) => (one.size < other.size ? -1 : 1));
  let differs: bigint | null = null;
  let verifiedTo = 0n;
  let at = 0;

  function compare(): void {
    for (; due[at]?.size === range.end(); at += 1) {
      const checkpoint = due[at];
      if (checkpoint === undefined) return;
      if (!isSameHash(range.root(), checkpoint.root)) differs ??= checkpoint.size;
      else if (differs === null) verifiedTo = checkpoint.size;
    }
  }

  compare();
  return {
    take: (thisHash) => {
      range.append(hashRecordLeaf(thisHash));
      compare();
    },
    takeRange: (next) => {
      range.merge(next);
      compare();
    },
    size: () => range.end(),
    differs: () => differs,
    fitsTo: () => verifiedTo,
    conclude: () => {
      if (differs !== null) return { kind: 'root_differs', trusted: differs, verifiedTo };
      const last = due.at(-1);
      if (last !== undefined && last.size > range.end())
        return { kind: 'truncated', size: range.end(), trusted: last.size, verifiedTo };
      return { kind: 'ok', verifiedTo };
    },
  };
}
