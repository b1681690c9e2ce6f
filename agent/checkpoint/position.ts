/**
 * The position: up to which record of the ledger the tree files are saved, and how large each of them is.
 * Replaced as a whole, after the trees. A start goes on from here; without it, or beside another ledger,
 * the trees are grown again from the first record, which costs time and changes no root.
 */
import { join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import { isChainHash, type ChainHash } from '../../schemas/brand.ts';
import { codeOf } from '../../schemas/result.ts';

export interface StreamPosition {
  readonly origin: string;
  readonly size: bigint;
  /** `this_hash` of its last record. */
  readonly head: ChainHash;
  /** Size of its newest checkpoint in the anchor log; 0: none is there. */
  readonly anchored: bigint;
}

export interface AnchorPosition {
  readonly incarnation: string;
  readonly size: bigint;
  /** Of the file of entries. */
  readonly bytes: number;
}

export interface Position {
  /** Number of the next record. */
  readonly next: number;
  /** `this_hash` of the record before it; null at 0. */
  readonly last_hash: ChainHash | null;
  readonly streams: readonly StreamPosition[];
  readonly anchor: AnchorPosition | null;
}

export const FIRST_POSITION: Position = { next: 0, last_hash: null, streams: [], anchor: null };

const NAME = 'position.json';
const VERSION = 1;
const SIZE = /^(0|[1-9][0-9]{0,18})$/;

/** Writes the position; durable when it resolves. Rejects with the system's error. */
export function savePosition(
  filesystem: Filesystem,
  dir: string,
  { next, last_hash, streams, anchor }: Position,
): Promise<void> {
  const text = JSON.stringify({
    version: VERSION,
    next,
    last_hash,
    streams: streams.map((one) => ({
      ...one,
      size: String(one.size),
      anchored: String(one.anchored),
    })),
    anchor: anchor === null ? null : { ...anchor, size: String(anchor.size) },
  });
  return filesystem.replace(join(dir, NAME), `${text}\n`);
}

/** Reads the position; null where there is none, or none that can be used. */
export async function readPosition(filesystem: Filesystem, dir: string): Promise<Position | null> {
  try {
    return parsePosition((await filesystem.readFile(join(dir, NAME))).toString('utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Whether the position is one of this ledger, of which `durable` records count. */
export async function isOfLedger(
  { next, last_hash }: Position,
  ledger: { readonly dir: string; readonly filesystem: Filesystem; readonly durable: number },
): Promise<boolean> {
  if (next === 0) return true;
  if (next > ledger.durable) return false;
  const reader = createLedgerReader({ ...ledger, from: next - 1 });
  const read = await reader.read({ recordsMax: 1, bytesMax: 1, upTo: next });
  await reader.close();
  // The record before it may be gone with its segment; then there is nothing to compare.
  return read.ok ? read.value[0]?.this_hash === last_hash : read.error.kind === 'missing';
}

function parsePosition(text: string): Position | null {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) return null;
  const { version, next, last_hash, streams, anchor } = value as Record<string, unknown>;
  if (version !== VERSION || typeof next !== 'number' || !Number.isSafeInteger(next)) return null;
  if (next < 0 || !Array.isArray(streams)) return null;
  const parsed = streams.map(parseStream);
  if (parsed.some((one) => one === null)) return null;
  const parsedAnchor = parseAnchor(anchor);
  if (anchor !== null && parsedAnchor === null) return null;
  return {
    next,
    last_hash: isChainHash(last_hash) ? last_hash : null,
    streams: parsed.filter((one) => one !== null),
    anchor: parsedAnchor,
  };
}

function parseStream(value: unknown): StreamPosition | null {
  if (typeof value !== 'object' || value === null) return null;
  const { origin, size, head, anchored } = value as Record<string, unknown>;
  if (typeof origin !== 'string' || !isChainHash(head)) return null;
  if (!isSize(size) || !isSize(anchored)) return null;
  return { origin, head, size: BigInt(size), anchored: BigInt(anchored) };
}

function parseAnchor(value: unknown): AnchorPosition | null {
  if (typeof value !== 'object' || value === null) return null;
  const { incarnation, size, bytes } = value as Record<string, unknown>;
  if (typeof incarnation !== 'string' || !isSize(size) || !Number.isSafeInteger(bytes)) return null;
  return { incarnation, size: BigInt(size), bytes: Number(bytes) };
}

function isSize(value: unknown): value is string {
  return typeof value === 'string' && SIZE.test(value);
}
