/**
 * The proof of one stream out of an archive: its chain record by record, and its tree at the size of each
 * checkpoint that the archive carries. Pure.
 */
import type { Checkpoint } from '../../ledger/checkpoint.ts';
import type { RecordText } from '../../ledger/frame.ts';
import { createTreeCheck } from '../../ledger/merkle/tree-check.ts';
import { createStreamCheck, type Finding, type Place } from '../../ledger/stream-check.ts';

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
  readonly note: string | null;
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
  conclude(): StreamOutcome;
}

/** Begins the proof of a stream against its checkpoints. */
export function createStreamProof(
  stream: string,
  checkpoints: readonly CarriedCheckpoint[],
): StreamProof {
  const chain = createStreamCheck(stream);
  const tree = createTreeCheck(checkpoints);
  let next = 0;
  /** The tree is that of the stream only as long as no record is missing. */
  let isWhole = true;

  function conclude(): StreamOutcome {
    const { records, verified_to, findings: made } = chain.summary();
    const sizes = checkpoints.map(({ size }) => size).filter((size) => size <= BigInt(records));
    const ahead = checkpoints.filter(({ size }) => size > BigInt(records));
    const verdict = tree.conclude();
    const findings: (Finding | CheckpointFinding)[] = [...chain.findings()];
    let note: string | null = null;
    if (verdict.kind === 'root_differs' && isWhole) {
      const object = checkpoints.find(({ size }) => size === verdict.trusted)?.object ?? '';
      const message = `the records do not have the root that was signed at size ${verdict.trusted}: they are others than were sealed`;
      findings.push({ kind: 'root_differs', stream, object, message });
    } else if (ahead.length > 0 && made === 0) {
      const early = ahead.find(({ isNewest }) => !isNewest);
      const { size } = ahead.reduce((one, other) => (other.size > one.size ? other : one));
      if (early === undefined)
        note = `${stream}: ${size} records were signed when the newest batch was archived, of which ${records} were in it or before it; the rest was not archived yet`;
      else
        findings.push({
          kind: 'cut_off',
          stream,
          object: early.object,
          message: `${early.size} records were signed, and the archive ends after ${records} though it goes on elsewhere`,
        });
    }
    const checkpointed =
      verdict.kind === 'root_differs' || !isWhole ? 0 : Number(sizes.sort(ascending).at(-1) ?? 0n);
    return { stream, records, verified_to, checkpointed, findings, note };
  }

  return {
    take: (seq, record, place) => {
      chain.take(seq, record, place);
      isWhole &&= seq === next;
      if (isWhole) tree.take(record.this_hash);
      next = Math.max(next, seq + 1);
    },
    isClean: () => chain.summary().findings === 0,
    next: () => next,
    conclude,
  };
}

function ascending(one: bigint, other: bigint): number {
  return one < other ? -1 : Number(one > other);
}
