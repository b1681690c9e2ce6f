/**
 * The proof of one stream out of an archive: its chain record by record, and its tree at the size of each
 * checkpoint that the archive carries. Pure.
 */
import type { Checkpoint } from '../../ledger/checkpoint.ts';
import type { RecordText } from '../../ledger/frame.ts';
import { createTreeCheck, type TreeCheck } from '../../ledger/merkle/tree-check.ts';
import type { SeenPurge } from '../../ledger/purge-check.ts';
import { createStreamCheck, type Finding, type Place } from '../../ledger/stream-check.ts';
import type { ChainHash } from '../../schemas/brand.ts';

/** A checkpoint, and where the archive has it from. */
export interface CarriedCheckpoint extends Checkpoint {
  readonly object: string;
  /** False: the archive goes on behind the batch that carried it. */
  readonly isNewest: boolean;
}

export interface StreamOutcome {
  readonly stream: string;
  readonly records: number;
  /** Last seq that the chain proves; null for none. */
  readonly verified_to: number | null;
  /** Records that are under a checkpoint. */
  readonly checkpointed: number;
  readonly findings: readonly (Finding | CheckpointFinding)[];
  readonly notes: readonly string[];
}

export interface CheckpointFinding {
  readonly kind: 'root_differs' | 'cut_off';
  readonly stream: string;
  readonly object: string;
  readonly message: string;
}

export interface StreamProof {
  take(seq: number, record: RecordText, place: Place): void;
  /** Nothing speaks against the records taken so far. */
  isClean(): boolean;
  /** Number of the next record. */
  next(): number;
  /** Of records before this one a purge has left nothing: what of them is still there is proven, and goes back into no store. */
  readonly goneTo: number;
  conclude(): StreamOutcome;
}

/** What a proof begins with: the first record that is there, and the newest purge of the stream that is known. */
export interface ProofStart {
  readonly first: { readonly seq: number; readonly prev_hash: ChainHash };
  readonly purge: SeenPurge | null;
}

/** Begins the proof of a stream against its checkpoints. */
export function createStreamProof(
  stream: string,
  checkpoints: readonly CarriedCheckpoint[],
  { first, purge: newest }: ProofStart,
): StreamProof {
  // What was before the first one expired, if a purge says so.
  const purge = newest !== null && first.seq > 0 && first.seq <= newest.size ? newest : null;
  const begin = purge === null ? 0 : first.seq;
  const chain = createStreamCheck(
    stream,
    purge === null ? undefined : { seq: begin, head: headBefore(purge, first) },
  );
  let tree = purge === null ? createTreeCheck(checkpoints) : beginTree(purge, begin);
  let next = begin;
  /** The tree is that of the stream only as long as no record is missing. */
  let isWhole = true;
  const mismatches: Finding[] = [];

  function beginTree({ base, base_range, size, range }: SeenPurge, at: number): TreeCheck | null {
    if (at !== base && at !== size) return null;
    return createTreeCheck(checkpoints, at === base ? base_range : range);
  }

  /** The hash that the purge names stands for all that it took. */
  function compareNamed({ size, head_hash, range }: SeenPurge, thisHash: ChainHash, place: Place) {
    if (thisHash === head_hash) {
      tree ??= createTreeCheck(checkpoints, range);
      return;
    }
    const message = `seq ${size - 1} has another hash than the record of the purge names`;
    mismatches.push({ kind: 'purge_mismatch', stream, seq: size - 1, ...place, message });
  }

  function conclude(): StreamOutcome {
    const { records, verified_to, findings: made } = chain.summary();
    const covering = checkpoints.filter(({ size }) => size <= BigInt(next));
    const ahead = checkpoints.filter(({ size }) => size > BigInt(next));
    const differs = tree?.differs() ?? null;
    const findings: (Finding | CheckpointFinding)[] = [...chain.findings(), ...mismatches];
    const notes: string[] = [];
    if (purge !== null) {
      const { stream: of, seq } = purge.record;
      notes.push(
        `${stream}: records 0 to ${begin - 1} expired under purge, record ${seq} of ${of}`,
      );
      if (begin < purge.base)
        notes.push(
          `${stream}: records ${begin} to ${purge.base - 1} have not expired yet: the purge took them, and no store is given them`,
        );
    }
    if (differs !== null && isWhole) {
      const object = checkpoints.find(({ size }) => size === differs)?.object ?? '';
      const message = `the records do not have the root that was signed at size ${differs}: they are others than were sealed`;
      findings.push({ kind: 'root_differs', stream, object, message });
    } else if (ahead.length > 0 && made === 0) {
      const early = ahead.find(({ isNewest }) => !isNewest);
      const { size } = ahead.reduce((one, other) => (other.size > one.size ? other : one));
      if (early === undefined)
        notes.push(
          `${stream}: ${size} records were signed when the newest batch was archived, of which ${next} were in it or before it; the rest was not archived yet`,
        );
      else
        findings.push({
          kind: 'cut_off',
          stream,
          object: early.object,
          message: `${early.size} records were signed, and the archive ends after ${next} though it goes on elsewhere`,
        });
    }
    const isSigned = differs === null && isWhole && tree !== null;
    const signedTo = isSigned
      ? Number(
          covering
            .map(({ size }) => size)
            .sort(ascending)
            .at(-1) ?? 0n,
        )
      : 0;
    const checkpointed = Math.max(0, signedTo - begin);
    return { stream, records, verified_to, checkpointed, findings, notes };
  }

  return {
    take: (seq, record, place) => {
      chain.take(seq, record, place);
      isWhole &&= seq === next;
      if (isWhole) tree?.take(record.this_hash);
      if (purge !== null && seq === purge.size - 1) compareNamed(purge, record.this_hash, place);
      next = Math.max(next, seq + 1);
    },
    isClean: () =>
      chain.summary().findings === 0 &&
      mismatches.length === 0 &&
      (tree?.differs() ?? null) === null,
    next: () => next,
    goneTo: purge?.base ?? 0,
    conclude,
  };
}

/** The hash that the first record must link to, as far as the purge names it. */
function headBefore(
  { size, base, head_hash, base_hash }: SeenPurge,
  { seq, prev_hash }: ProofStart['first'],
): ChainHash {
  if (seq === size) return head_hash;
  return seq === base ? base_hash : prev_hash;
}

function ascending(one: bigint, other: bigint): number {
  return one < other ? -1 : Number(one > other);
}
