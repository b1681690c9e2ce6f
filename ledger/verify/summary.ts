/** What is said of a chunk in short; see chunk.ts. */
import type { ChainHash } from '../../schemas/brand.ts';
import type { ChainPlace } from '../chain-place.ts';
import type { CompactRange } from '../merkle/range.ts';

/** Consecutive records of one stream, up to a size at which something is known of it, or to the chunk's end. */
export interface RunPart {
  /** Seq behind its last record. */
  readonly end: number;
  /** this_hash of its last record. */
  readonly head: ChainHash;
  /** Tree of its records; null where none was asked for. */
  readonly range: CompactRange | null;
  /** Line of its last record in the chunk, from 0. */
  readonly lastLine: number;
}

export interface Run {
  readonly stream: string;
  readonly first: number;
  /** Of its first record. */
  readonly prev_hash: ChainHash;
  readonly parts: readonly RunPart[];
}

/** A number of a producer that does not follow the one before it here. */
export interface ProducerStep extends ChainPlace {
  /** Highest number before it in the chunk; -1: none. */
  readonly before: number;
}

/** The numbers of a producer in a chunk, in order. */
export interface ProducerRun {
  readonly producer: string;
  /** Its first record here, and each that does not follow the one before it. */
  readonly steps: readonly ProducerStep[];
  /** Its highest number. */
  readonly last: number;
}

/** A record that says something of the ledger. */
export interface Notable {
  /** In the chunk, from 0. */
  readonly line: number;
  readonly eventText: string;
}

export interface ChunkSummary {
  readonly records: number;
  readonly runs: readonly Run[];
  readonly producers: readonly ProducerRun[];
  readonly notable: readonly Notable[];
}

/** Sizes at which something is known of a stream, ascending. */
export type KnownSizes = ReadonlyMap<string, readonly number[]>;
