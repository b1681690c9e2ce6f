/**
 * The trees of all streams, grown from the ledger's records in its order. A record that does not follow the
 * one before it in its stream is put into no tree: nothing is signed over a break.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import type { RecordPlace } from '../../ledger/record-place.ts';
import { openTreeFile, type TreeFile } from '../../ledger/tree-file.ts';
import { GENESIS_PREV_HASH, type ChainHash } from '../../schemas/brand.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { NewestCheckpoints } from './journal.ts';
import type { StreamPosition } from './position.ts';
import { createSignedTree, type SignedTree } from './signed-tree.ts';

export interface StreamTree extends SignedTree {
  /** `this_hash` of its last record; null before the first. */
  head(): ChainHash | null;
  /** Size of its newest checkpoint in the anchor log. */
  anchored(): bigint;
  noteAnchored(size: bigint): void;
  /** Grows by the next record of the stream. */
  take(record: RecordPlace): void;
}

export interface StreamTrees {
  all(): Iterable<StreamTree>;
  find(origin: string): StreamTree | undefined;
  /** Begins the tree of a stream that is new. Rejects with what is against it. */
  begin(origin: string): Promise<StreamTree>;
  /** Writes what the files do not have yet. Rejects with the system's error. */
  save(): Promise<void>;
  positions(): readonly StreamPosition[];
}

/** Path of a stream's tree: its name may hold what a file's may not. */
export function treePath(dir: string, origin: string): string {
  const id = createHash('sha256').update(origin).digest('hex').slice(0, 32);
  return join(dir, 'trees', `${id}.tree`);
}

/** Opens the trees that the position knows; others begin with their first record. */
export async function openStreams(options: {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly positions: readonly StreamPosition[];
  readonly newest: NewestCheckpoints;
}): Promise<Result<StreamTrees, string>> {
  const { dir, filesystem, newest } = options;
  const streams = new Map<string, Mutable>();

  async function begin({ origin, size }: Pick<StreamPosition, 'origin' | 'size'>) {
    const opened = await openTreeFile({ filesystem, path: treePath(dir, origin), size });
    if (!opened.ok) return opened;
    const stream = createStream(origin, opened.value, newest);
    streams.set(origin, stream);
    return ok(stream);
  }

  for (const position of options.positions) {
    const opened = await begin(position);
    if (!opened.ok) return err(opened.error);
    opened.value.restore(position);
  }

  return ok({
    all: () => streams.values(),
    find: (origin) => streams.get(origin),
    begin: async (origin) => {
      const begun = await begin({ origin, size: 0n });
      if (!begun.ok) throw new Error(begun.error);
      return begun.value;
    },
    save: async () => {
      for (const { tree } of streams.values()) await tree.save();
    },
    positions: () =>
      [...streams.values()].flatMap((stream) => {
        const head = stream.head();
        if (head === null) return [];
        const { origin, tree } = stream;
        return [{ origin, size: tree.size(), head, anchored: stream.anchored() }];
      }),
  });
}

interface Mutable extends StreamTree {
  restore(position: StreamPosition): void;
}

function createStream(origin: string, tree: TreeFile, newest: NewestCheckpoints): Mutable {
  const signed = createSignedTree(origin, tree, newest.get(origin) ?? null);
  let head: ChainHash | null = null;
  let anchored = 0n;
  return {
    ...signed,
    head: () => head,
    anchored: () => anchored,
    noteAnchored: (size) => (anchored = size),
    restore: (position) => ({ head, anchored } = position),
    take: (record) => {
      if (signed.stopped() !== null) return;
      if (BigInt(record.seq) !== tree.size() || record.prev_hash !== (head ?? GENESIS_PREV_HASH)) {
        signed.stop(`record ${record.seq} of ${origin} does not follow the one before it`);
        return;
      }
      signed.append(hashRecordLeaf(record.this_hash));
      head = record.this_hash;
    },
  };
}
