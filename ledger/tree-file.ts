/**
 * A Merkle tree on disk: one file of 32-byte hashes in the order in which they become known (merkle/shape.ts),
 * 64 bytes a leaf. What is appended stays in memory until `save`. A start reads the hashes of the compact
 * range and nothing else; a proof reads some 60 of them. How many leaves of the file count is the caller's
 * to remember: what stands behind them was not saved whole, and is cut off by the next save.
 */
import { dirname } from 'node:path';
import { err, ok, type Result } from '../schemas/result.ts';
import type { Filesystem, LedgerFile } from './filesystem.ts';
import { HASH_BYTES, type TreeHash } from './merkle/hash.ts';
import type { ReadHashes } from './merkle/proof.ts';
import { createRange } from './merkle/range.ts';
import { splitRange, storedCount, storedPlace } from './merkle/shape.ts';

export interface TreeFile {
  /** Leaves, saved or not. */
  size(): bigint;
  root(): TreeHash;
  append(leaf: TreeHash): void;
  /** Reads the hashes of subtrees that MUST be in the tree. Rejects with the system's error. */
  readonly read: ReadHashes;
  /** Leaves that a crash would take. */
  unsaved(): bigint;
  /** Durable when it resolves. Rejects with the system's error, and then the tree MUST be opened again. */
  save(): Promise<void>;
}

export interface TreeFileOptions {
  readonly filesystem: Filesystem;
  readonly path: string;
  /** Leaves that were saved; 0: the file, if there is one, does not count. */
  readonly size: bigint;
}

/** Opens a tree; an error when its file does not hold as many leaves. Rejects when it cannot be read. */
export async function openTreeFile(options: TreeFileOptions): Promise<Result<TreeFile, string>> {
  const { filesystem, path } = options;
  let savedLeaves = options.size;
  let saved = storedCount(savedLeaves);
  const tail = createTail();

  async function readSaved(places: readonly bigint[]): Promise<readonly (TreeHash | null)[]> {
    const file = await filesystem.openRead(path);
    try {
      const hashes: (TreeHash | null)[] = [];
      for (const place of places) {
        const bytes = Buffer.alloc(HASH_BYTES);
        const bytesRead = await file.read(Number(place) * HASH_BYTES, bytes);
        hashes.push(bytesRead === HASH_BYTES ? bytes : null);
      }
      return hashes;
    } finally {
      await file.close();
    }
  }

  const read: ReadHashes = async (subtrees) => {
    const places = subtrees.map(storedPlace);
    // Before anything is awaited: a save meanwhile moves hashes from the tail to the file.
    const kept = places.map((place) => (place < saved ? null : tail.at(Number(place - saved))));
    const onDisk = places.filter((_, at) => kept[at] === null);
    const found = onDisk.length === 0 ? [] : await readSaved(onDisk);
    let at = 0;
    return kept.map((own, index) => {
      const hash = own === null ? found[at++] : own;
      if (hash === undefined || hash === null)
        throw new Error(`${path} ends before hash ${places[index]}`);
      return hash;
    });
  };

  const subtrees = splitRange({ begin: 0n, end: savedLeaves });
  if (savedLeaves > 0n && !(await filesystem.exists(path)))
    return err(`${path}, with ${savedLeaves} leaves, is missing`);
  const hashes = savedLeaves === 0n ? [] : await readSaved(subtrees.map(storedPlace));
  const whole = hashes.filter((hash) => hash !== null);
  if (whole.length < subtrees.length) return err(`${path} holds less than ${savedLeaves} leaves`);
  const range = createRange({ begin: 0n, end: savedLeaves, hashes: whole });

  async function openForSaving(): Promise<LedgerFile> {
    const isThere = await filesystem.exists(path);
    const file = await (isThere ? filesystem.open(path) : filesystem.create(path));
    if (savedLeaves > 0n) return file;
    try {
      // The folder with it: a file of that name counts from here on, also one whose folder was not synced when it was made.
      await filesystem.syncDir(dirname(path));
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  return ok({
    size: () => range.end(),
    root: () => range.root(),
    read,
    append: (leaf) => range.append(leaf, tail.push),
    unsaved: () => range.end() - savedLeaves,
    save: async () => {
      if (tail.length() === 0) return;
      const file = await openForSaving();
      try {
        // Back to the hashes that count.
        const bytes = Number(saved) * HASH_BYTES;
        if ((await file.size()) > bytes) await file.truncate(bytes);
        await file.append(tail.bytes());
        await file.datasync();
      } finally {
        await file.close();
      }
      saved += BigInt(tail.length());
      savedLeaves = range.end();
      tail.clear();
    },
  });
}

interface Tail {
  push(hash: TreeHash): void;
  at(index: number): TreeHash | undefined;
  length(): number;
  bytes(): Uint8Array;
  clear(): void;
}

/** Hashes of a chunk: few for a stream that hardly grows, and none is copied when the next chunk begins. */
const CHUNK_HASHES = 128;

/** Hashes side by side: kept one by one, they would be most of what the garbage collector has to do. */
function createTail(): Tail {
  let chunks: Buffer[] = [];
  let length = 0;
  return {
    push: (hash) => {
      const at = length % CHUNK_HASHES;
      if (at === 0) chunks.push(Buffer.allocUnsafe(CHUNK_HASHES * HASH_BYTES));
      chunks.at(-1)?.set(hash, at * HASH_BYTES);
      length += 1;
    },
    at: (index) => {
      const from = (index % CHUNK_HASHES) * HASH_BYTES;
      const chunk = chunks[Math.floor(index / CHUNK_HASHES)];
      if (index >= length || chunk === undefined) return undefined;
      return Buffer.from(chunk.subarray(from, from + HASH_BYTES));
    },
    length: () => length,
    bytes: () => Buffer.concat(chunks, length * HASH_BYTES),
    clear: () => {
      chunks = [];
      length = 0;
    },
  };
}
