/**
 * Checkpoints of streams out of an anchor log, in few bytes each: a year of rounds has half a million a stream. What is
 * kept is what they are compared by; a note is read again from the file when somebody asks for it.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Checkpoint } from '../../ledger/checkpoint.ts';
import { HASH_BYTES, type TreeHash } from '../../ledger/merkle/hash.ts';
import type { KnownCheckpoint } from '../../ledger/verify/known.ts';
import { parseAnchorEntry } from './anchor-log.ts';

/** Where an entry stands: its number, and its line in the file. */
export interface EntryPlace {
  readonly index: number;
  readonly start: number;
  readonly bytes: number;
}

export interface PackedEntries extends Iterable<KnownCheckpoint & { readonly index: number }> {
  add(checkpoint: Checkpoint, place: EntryPlace): void;
  /** Says that entries before this number are as good as signed. */
  signedBefore(index: bigint): void;
}

const NUMBERS = 4;
const ROOM = 1_024;

/** Creates the list of a log's file. */
export function createPackedEntries(path: string): PackedEntries {
  const origins: string[] = [];
  const places = new Map<string, number>();
  /** Of each entry: its index, where its line starts, its length, and the number of its origin. */
  let numbers = new Float64Array(ROOM * NUMBERS);
  let sizes = new BigUint64Array(ROOM);
  let roots = Buffer.alloc(ROOM * HASH_BYTES);
  let count = 0;
  let signedTo = 0n;

  function grow(): void {
    const [more, others] = [new Float64Array(2 * numbers.length), new BigUint64Array(2 * count)];
    more.set(numbers);
    others.set(sizes);
    [numbers, sizes, roots] = [more, others, Buffer.concat([roots], 2 * roots.length)];
  }

  function placeOf(origin: string): number {
    const known = places.get(origin);
    if (known !== undefined) return known;
    // Not as it was cut out of its note, which would be kept with it.
    const own = Buffer.from(origin).toString('utf8');
    places.set(own, origins.push(own) - 1);
    return origins.length - 1;
  }

  const numberOf = (at: number, which: number): number => numbers[at * NUMBERS + which] ?? 0;

  /** A class, since each of half a million objects has the same getters. */
  class Entry {
    private readonly at: number;
    constructor(at: number) {
      this.at = at;
    }
    get index(): number {
      return numberOf(this.at, 0);
    }
    get origin(): string {
      return origins[numberOf(this.at, 3)] ?? '';
    }
    get size(): bigint {
      return sizes[this.at] ?? 0n;
    }
    get root(): TreeHash {
      return roots.subarray(this.at * HASH_BYTES, (this.at + 1) * HASH_BYTES);
    }
    get isSigned(): boolean {
      return BigInt(this.index) < signedTo;
    }
    get note(): string {
      return readNote(path, numberOf(this.at, 1), numberOf(this.at, 2));
    }
  }

  return {
    add: ({ origin, size, root }, { index, start, bytes }) => {
      if (count === sizes.length) grow();
      numbers.set([index, start, bytes, placeOf(origin)], count * NUMBERS);
      sizes[count] = size;
      roots.set(root, count * HASH_BYTES);
      count += 1;
    },
    signedBefore: (index) => {
      signedTo = index;
    },
    *[Symbol.iterator]() {
      for (let at = 0; at < count; at += 1) yield new Entry(at);
    },
  };
}

/** The note of an entry; it was one when the list was made. Throws the system's error. */
function readNote(path: string, start: number, bytes: number): string {
  const line = Buffer.alloc(bytes);
  const file = openSync(path, 'r');
  try {
    for (let at = 0; at < bytes;) {
      const bytesRead = readSync(file, line, at, bytes - at, start + at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
  } finally {
    closeSync(file);
  }
  return parseAnchorEntry(line.toString('utf8'))?.note ?? '';
}
