/**
 * Hashes of the Merkle tree, RFC 6962 section 2.1 (the same in RFC 9162). Pure but for node:crypto.
 *
 *   leaf  SHA-256(0x00 || entry)            of a record: the 32 raw bytes of its this_hash
 *   node  SHA-256(0x01 || left || right)
 *   root of the empty tree: SHA-256 of nothing
 */
import * as crypto from 'node:crypto';
import type { ChainHash } from '../../schemas/brand.ts';

/** 32 bytes: a leaf, a node or a root. */
export type TreeHash = Uint8Array;

export const HASH_BYTES = 32;

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

/** The root of a tree without leaves; no other is right. */
export const EMPTY_ROOT: TreeHash = digest('');

// Used again for each hash: a tree costs two a record, and an allocation costs as much as a hash.
const leafBytes = Buffer.alloc(1 + HASH_BYTES, LEAF_PREFIX);
const nodeBytes = Buffer.alloc(1 + 2 * HASH_BYTES, NODE_PREFIX);

/**
 * By way of a string, in which each character is a byte: asked for a buffer, `crypto.hash` allocates one
 * outside of the heap, which takes four times as long as the hash.
 */
function digest(bytes: Uint8Array | string): TreeHash {
  return Buffer.from(crypto.hash('sha256', bytes, 'binary'), 'latin1');
}

/** The leaf hash of any entry. */
export function hashLeaf(entry: Uint8Array): TreeHash {
  return digest(Buffer.concat([leafBytes.subarray(0, 1), entry]));
}

/** The leaf hash of a record. */
export function hashRecordLeaf(thisHash: ChainHash): TreeHash {
  leafBytes.write(thisHash, 1, 'hex');
  return digest(leafBytes);
}

/** The hash of a node over its two children. */
export function hashNode(left: TreeHash, right: TreeHash): TreeHash {
  nodeBytes.set(left, 1);
  nodeBytes.set(right, 1 + HASH_BYTES);
  return digest(nodeBytes);
}

/** Writes the leaf hash of a record at a place of a buffer: of many leaves, none is an object of its own. */
export function writeRecordLeaf(thisHash: ChainHash, target: Buffer, at: number): void {
  leafBytes.write(thisHash, 1, 'hex');
  target.write(crypto.hash('sha256', leafBytes, 'binary'), at, HASH_BYTES, 'latin1');
}

/** Writes the hash of a node whose children stand side by side at `from` at `at`, which MUST not be behind `from`. */
export function joinInPlace(hashes: Buffer, from: number, at: number): void {
  hashes.copy(nodeBytes, 1, from, from + 2 * HASH_BYTES);
  hashes.write(crypto.hash('sha256', nodeBytes, 'binary'), at, HASH_BYTES, 'latin1');
}

/** Whether two hashes are equal. Nothing here is secret: no constant time. */
export function isSameHash(one: TreeHash, other: TreeHash): boolean {
  return Buffer.compare(one, other) === 0;
}
