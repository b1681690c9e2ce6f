/**
 * The record of a purge: what an agent appends before the store deletes anything, and what a verifier
 * holds against what is left. It is an ordinary sealed record, so that chain, tree and checkpoint cover
 * it; this is its metadata. Pure. docs/RETENTION.md says what each member proves.
 */
import { createHash } from 'node:crypto';
import { isChainHash, type ChainHash } from '../schemas/brand.ts';
import type { Json } from '../schemas/event.ts';
import { memberOf } from './chain-place.ts';
import type { TreeHash } from './merkle/hash.ts';
import { isCompactRange, type CompactRange } from './merkle/range.ts';

/** Action of the record. */
export const PURGE_ACTION = 'retention.purge';
/** A purge takes a multiple of so many records: a tile of the tree. */
export const PURGE_TILE = 256;

export interface PurgeRecord {
  readonly stream: string;
  /** Records [0, size) went, but for those that are kept. */
  readonly size: number;
  /** Of [0, base) nothing is left; of [base, size) at least the hashes. */
  readonly base: number;
  /** `this_hash` of record size - 1. */
  readonly head_hash: ChainHash;
  /** `this_hash` of record base - 1; 64 zeros at 0. */
  readonly base_hash: ChainHash;
  /** Of leaves [0, size). */
  readonly range: CompactRange;
  /** Of leaves [0, base). */
  readonly base_range: CompactRange;
  /** Records below `size` that stay whole, and the digest of their numbers. */
  readonly kept: number;
  readonly kept_sha256: string;
  /** A signed checkpoint of the stream that covers `size`. */
  readonly checkpoint: string;
}

/** The digest of which records are kept: their numbers, ascending, a line each. */
export function digestKept(seqs: readonly number[]): string {
  const hash = createHash('sha256');
  for (const seq of seqs) hash.update(`${seq}\n`);
  return hash.digest('hex');
}

/** What the agent's trees and checkpoints know of a prefix that is to go. */
export interface PurgeProof {
  readonly range: CompactRange;
  readonly base_range: CompactRange;
  /** The signed note. */
  readonly checkpoint: string;
}

/** The metadata of the record: what the store says of the purge, and what proves it. */
export function describePurge<T extends object>(
  said: T,
  { range, base_range, checkpoint }: PurgeProof,
): T & {
  readonly range: readonly string[];
  readonly base_range: readonly string[];
  readonly checkpoint: string;
} {
  return { ...said, range: formatRange(range), base_range: formatRange(base_range), checkpoint };
}

function formatRange({ hashes }: CompactRange): readonly string[] {
  return hashes.map((hash) => Buffer.from(hash).toString('hex'));
}

/** Reads the metadata of an event; null where it is no purge, or none in this form. */
export function parsePurge(event: Json): PurgeRecord | null {
  if (memberOf(memberOf(event, 'event'), 'action') !== PURGE_ACTION) return null;
  const of = (name: string): Json | undefined => memberOf(memberOf(event, 'metadata'), name);
  const [stream, head_hash, base_hash] = [of('stream'), of('head_hash'), of('base_hash')];
  const [size, base, kept] = [of('size'), of('base'), of('kept')];
  const [kept_sha256, checkpoint] = [of('kept_sha256'), of('checkpoint')];
  if (!isCount(size) || !isCount(base) || !isCount(kept) || base > size) return null;
  if (size === 0 || size % PURGE_TILE !== 0 || base % PURGE_TILE !== 0) return null;
  if (typeof stream !== 'string' || !isChainHash(head_hash) || !isChainHash(base_hash)) return null;
  if (typeof kept_sha256 !== 'string' || typeof checkpoint !== 'string') return null;
  const range = readRange(size, of('range'));
  const base_range = readRange(base, of('base_range'));
  if (range === null || base_range === null) return null;
  return {
    ...{ stream, size, base, head_hash, base_hash },
    ...{ range, base_range, kept, kept_sha256, checkpoint },
  };
}

/**
 * Whether a stream may hold the record of a purge of another: of one agent and one retention class. (That both are of
 * one tenant no name says.) Else whoever has any agent of a tenant could excuse what is missing of all the others.
 */
export function mayRecordPurgeOf(recorded: string, purged: string): boolean {
  const [mine, other] = [recorded.split('/'), purged.split('/')];
  return [LOG, AGENT, CLASS].every((part) => mine[part] === other[part]);
}

/** Parts of a stream's name: sealtrail/<agent>/<incarnation>/<tenant label>/<class>. */
const LOG = 0;
const AGENT = 1;
const CLASS = 4;

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function readRange(end: number, value: Json | undefined): CompactRange | null {
  if (!Array.isArray(value)) return null;
  const hashes: TreeHash[] = [];
  for (const hash of value) {
    if (!isChainHash(hash)) return null;
    hashes.push(Buffer.from(hash, 'hex'));
  }
  const range = { begin: 0n, end: BigInt(end), hashes };
  return isCompactRange(range) ? range : null;
}
