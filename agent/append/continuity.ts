/**
 * Continuity: whether a recovered ledger may go on where it ends. A data directory that was restored
 * from an older copy, or that lives on as a clone elsewhere, is whole in itself; only what has left it
 * can tell (witnesses: the store of record, a head file kept outside, cursors). Going on would give
 * places of the chain a second time that others hold already. Pure.
 */
import type { ChainHash } from '../../schemas/brand.ts';
import type { LedgerState } from '../../ledger/state.ts';
import { lastIncarnation } from './sealer.ts';

/** How far a stream had come, as somebody outside the ledger knows it. */
export interface WitnessedHead {
  readonly stream: string;
  readonly next_seq: number;
  /** `this_hash` of the record before it. */
  readonly head_hash: string;
}

export interface Witness {
  /** Who says so, for log and genesis: `postgresql`, `ledger.head_file`, `cursor file/ecs`. */
  readonly source: string;
  readonly heads: readonly WitnessedHead[];
  /** Records that the ledger held at least, all streams together; 0 where that is not known. */
  readonly records: number;
  /** The incarnation that was in force, where that is known. */
  readonly incarnation: string | null;
}

/** Hashes of records that witnesses name, as the ledger itself has them. */
export interface SeenHashes {
  take(stream: string, seq: number, hash: ChainHash): void;
  find(stream: string, seq: number): ChainHash | undefined;
}

/** Looks out for the records that witnesses name, while the ledger is read. */
export function createSeenHashes(witnesses: readonly Witness[]): SeenHashes {
  const wanted = new Set(
    witnesses.flatMap(({ heads }) => heads.map((head) => keyOf(head.stream, head.next_seq - 1))),
  );
  const seen = new Map<string, ChainHash>();
  return {
    take: (stream, seq, hash) => {
      if (wanted.size === 0) return;
      const key = keyOf(stream, seq);
      if (wanted.has(key)) seen.set(key, hash);
    },
    find: (stream, seq) => seen.get(keyOf(stream, seq)),
  };
}

function keyOf(stream: string, seq: number): string {
  return `${stream} ${seq}`;
}

/** Why the ledger cannot be the newest of its line, in a sentence; null when no witness objects. */
export function findDoubt(
  state: LedgerState,
  seen: SeenHashes,
  witnesses: readonly Witness[],
): string | null {
  const incarnation = lastIncarnation(state);
  for (const witness of witnesses) {
    const doubt = doubtOf(state, seen, witness, incarnation);
    if (doubt !== null) return `rollback: ${doubt}`;
  }
  return null;
}

function doubtOf(
  state: LedgerState,
  seen: SeenHashes,
  { source, heads, records, incarnation: witnessed }: Witness,
  incarnation: string | null,
): string | null {
  if (records > state.records)
    return `the ledger holds ${state.records} records, ${source} knows of ${records}`;
  if (witnessed !== null && witnessed !== incarnation)
    return `${source} knows of incarnation ${witnessed}, the ledger does not have it last`;
  for (const { stream, next_seq, head_hash } of heads) {
    // Of an earlier incarnation more may be known for good: its end was noticed, or it was proven.
    if (incarnation === null || stream.split('/')[2] !== incarnation) continue;
    const head = state.streams.get(stream);
    const next = head?.next_seq ?? 0;
    if (next_seq > next)
      return `stream ${stream} ends before seq ${next} here, ${source} has it up to seq ${next_seq - 1}`;
    const here = next_seq === next ? head?.head_hash : seen.find(stream, next_seq - 1);
    if (here !== undefined && here !== head_hash)
      return `seq ${next_seq - 1} of stream ${stream} is another record here than in ${source}`;
  }
  return null;
}
