import { expect, test } from 'vitest';
import { hashLeaf } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { verifyConsistency, verifyInclusion } from '../../ledger/merkle/verify-proof.ts';
import { describeShared, readShared } from '../support/shared.ts';

interface Inclusion {
  readonly name: string;
  readonly leafIdx: string;
  readonly treeSize: string;
  readonly root: string | null;
  readonly leafHash: string | null;
  readonly proof: readonly (string | null)[] | null;
  readonly wantErr: boolean;
}

interface Consistency {
  readonly name: string;
  readonly size1: string;
  readonly size2: string;
  readonly root1: string | null;
  readonly root2: string | null;
  readonly proof: readonly (string | null)[] | null;
  readonly wantErr: boolean;
}

/** Reads JSON whose whole numbers may pass 2^53: they stay as text. */
function readCases<T>(path: string): T[] {
  const text = readShared(path).replace(/("(?:leafIdx|treeSize|size1|size2)":\s*)(\d+)/g, '$1"$2"');
  return JSON.parse(text) as T[];
}

const bytes = (base64: string | null): Uint8Array => Buffer.from(base64 ?? '', 'base64');
const proofOf = (proof: Inclusion['proof']): Uint8Array[] => (proof ?? []).map(bytes);

describeShared('Merkle vectors', () => {
  const roots = JSON.parse(readShared('vectors/merkle/roots.json')) as {
    leaves_hex: string[];
    roots_hex_by_size: string[];
    leaf_hashes_hex: string[];
  };
  const inclusion = readCases<Inclusion>('vectors/merkle/inclusion.json');
  const consistency = readCases<Consistency>('vectors/merkle/consistency.json');

  test('every root and leaf hash is the published one', () => {
    const range = createRange();
    const seen = [Buffer.from(range.root()).toString('hex')];
    for (const [at, leaf] of roots.leaves_hex.entries()) {
      const hash = hashLeaf(Buffer.from(leaf, 'hex'));
      expect(Buffer.from(hash).toString('hex')).toBe(roots.leaf_hashes_hex[at]);
      range.append(hash);
      seen.push(Buffer.from(range.root()).toString('hex'));
    }
    expect(seen).toEqual(roots.roots_hex_by_size);
  });

  test('all cases are there', () => {
    expect(inclusion.length).toBeGreaterThanOrEqual(98);
    expect(consistency.length).toBeGreaterThanOrEqual(98);
    expect(inclusion.filter(({ wantErr }) => !wantErr).length).toBeGreaterThan(0);
    expect(consistency.filter(({ wantErr }) => !wantErr).length).toBeGreaterThan(0);
  });

  test.each(inclusion)('$name', (vector) => {
    const isProven = verifyInclusion({
      index: BigInt(vector.leafIdx),
      size: BigInt(vector.treeSize),
      root: bytes(vector.root),
      leaf: bytes(vector.leafHash),
      proof: proofOf(vector.proof),
    });
    expect(isProven).toBe(!vector.wantErr);
  });

  test.each(consistency)('$name', (vector) => {
    const isProven = verifyConsistency({
      size1: BigInt(vector.size1),
      size2: BigInt(vector.size2),
      root1: bytes(vector.root1),
      root2: bytes(vector.root2),
      proof: proofOf(vector.proof),
    });
    expect(isProven).toBe(!vector.wantErr);
  });
});
