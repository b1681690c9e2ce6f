/**
 * The tree over a stream in three parts, grown place by place: before what is listed, the list, and behind it up to
 * the size of a checkpoint. The list and the two compact ranges are all that anybody needs to get its root. Pure.
 */
import { createHash } from 'node:crypto';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { createRange, type CompactRange } from '../../ledger/merkle/range.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import type { StreamProof } from './certificate.ts';

export interface TreeParts {
  take(seq: number, this_hash: ChainHash): void;
  conclude(): Pick<StreamProof, 'tree' | 'hashes_sha256'>;
}

export interface TreeBounds {
  /** Listed: [first, last). */
  readonly first: number;
  readonly last: number;
  /** Size of the tree; null: of all that is read. */
  readonly size: number | null;
  /** The tree of what was purged before the first place. */
  readonly base: CompactRange;
  /** Called with each line of the list. */
  readonly onHash?: (line: string) => void;
}

/** Begins at the first place that is read. */
export function growTree({ first, last, size, base, onHash }: TreeBounds): TreeParts {
  const limit = size ?? Number.MAX_SAFE_INTEGER;
  const left = createRange({ ...base, hashes: [...base.hashes] });
  const listed = createRange({ begin: BigInt(first), end: BigInt(first), hashes: [] });
  const right = createRange({ begin: BigInt(last), end: BigInt(last), hashes: [] });
  const digest = createHash('sha256');
  let next = Number(base.end);
  let isWhole = next <= first;
  return {
    take: (seq, this_hash) => {
      if (seq >= first && seq < last) {
        const line = `${this_hash}\n`;
        digest.update(line);
        onHash?.(line);
      }
      // Of a number that stands twice, and behind a hole, there is no tree.
      if (seq !== next) isWhole = false;
      next = seq + 1;
      if (!isWhole || seq >= limit) return;
      const part = seq < first ? left : seq < last ? listed : right;
      part.append(hashRecordLeaf(this_hash));
    },
    conclude: () => {
      const hashes_sha256 = digest.digest('hex');
      const reached = Math.min(next, limit);
      if (!isWhole || (size !== null && next < size)) return { tree: null, hashes_sha256 };
      const whole = createRange(left.range());
      for (const part of [listed, right]) {
        const range = part.range();
        if (range.end > range.begin) whole.merge(range);
      }
      return {
        tree: {
          size: reached,
          root: toHex(whole.root()),
          left: left.range().hashes.map(toHex),
          right: right.range().hashes.map(toHex),
        },
        hashes_sha256,
      };
    },
  };
}

function toHex(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex');
}
