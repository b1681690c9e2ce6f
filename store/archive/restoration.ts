/** What came of a restore: its target's answers, its findings, its verdict. Pure. */
import type { StoredRecord } from '../store.ts';
import type { PlanFinding } from './plan.ts';
import type { StreamOutcome, StreamProof } from './stream-proof.ts';

/** Where proven records go. */
export interface RestoreTarget {
  /** A store of record: it MUST NOT hold what the record of a purge says is gone. Default false. */
  readonly isStore?: boolean;
  /** Takes records in the ledger's order, on disk when it resolves. The error says why it does not go on. */
  take(records: readonly StoredRecord[]): Promise<TargetOutcome>;
  /** After the last record; resolves with what is against the end of it. `isAll`: there was no obstacle. */
  finish(isAll: boolean): Promise<TargetOutcome>;
  /** Lets go of it, whatever came of the restore. */
  close(): Promise<void>;
}

export type TargetOutcome =
  | {
      readonly kind: 'taken';
      readonly restored: number;
      readonly present: number;
      /** Records that it can hold none of, and why: they keep no other one out. */
      readonly left?: readonly string[];
    }
  /** It holds another record in the place of one of these. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface RestoreFinding {
  readonly kind: PlanFinding['kind'] | StreamOutcome['findings'][number]['kind'] | 'refused';
  /** Key of the object. */
  readonly object: string;
  readonly message: string;
  readonly stream?: string;
  readonly seq?: number;
  /** 1-based, in the object. */
  readonly line?: number;
}

export interface Restoration {
  readonly verdict: 'intact' | 'broken' | 'cannot_tell';
  /** Read and proven, or not. */
  readonly records: number;
  readonly restored: number;
  /** There before. */
  readonly present: number;
  readonly objects: number;
  readonly bytes: number;
  readonly is_trusted: boolean;
  readonly streams: readonly Omit<StreamOutcome, 'findings' | 'notes'>[];
  readonly findings: readonly RestoreFinding[];
  readonly notes: readonly string[];
}

/** A restore on its way. */
export interface Run {
  readonly proofs: Map<string, StreamProof>;
  readonly findings: RestoreFinding[];
  readonly notes: string[];
  readonly opened: Set<string>;
  /** Its target holds something else: nothing more is written, and the rest is proven all the same. */
  isRefused: boolean;
  records: number;
  restored: number;
  present: number;
  bytes: number;
}

/** Begins a restore. */
export function createRun(): Run {
  return {
    proofs: new Map(),
    findings: [],
    notes: [],
    opened: new Set(),
    isRefused: false,
    records: 0,
    restored: 0,
    present: 0,
    bytes: 0,
  };
}

/** Draws up the verdict; `obstacle` says why not all could be read or written. */
export function conclude(run: Run, isTrusted: boolean, obstacle: string | null): Restoration {
  const outcomes = [...run.proofs.values()].map((proof) => proof.conclude());
  const findings: RestoreFinding[] = [
    ...run.findings,
    // What could not be read to its end cannot be told to be cut off.
    ...outcomes.flatMap(findingsOf).filter(({ kind }) => obstacle === null || kind !== 'cut_off'),
  ];
  const unsigned = outcomes.filter(({ records, checkpointed }) => checkpointed < records);
  const notes = [...run.notes];
  if (obstacle !== null) notes.push(obstacle);
  else {
    notes.push(...outcomes.flatMap((outcome) => outcome.notes));
    if (isTrusted) notes.push(...unsigned.map(describeUnsigned));
    if (run.records === 0) notes.push('the archive holds no record');
  }
  // Whoever asks for signatures is not told that what nobody has signed is whole.
  const isProven = run.records > 0 && !(isTrusted && unsigned.length > 0);
  const isRead = obstacle === null && isProven;
  return {
    verdict: findings.length > 0 ? 'broken' : isRead ? 'intact' : 'cannot_tell',
    records: run.records,
    restored: run.restored,
    present: run.present,
    objects: run.opened.size,
    bytes: run.bytes,
    is_trusted: isTrusted,
    streams: outcomes.map(({ findings: _findings, notes: _notes, ...rest }) => rest),
    findings,
    notes,
  };
}

function describeUnsigned({ stream, records, checkpointed }: StreamOutcome): string {
  return `${stream}: ${records - checkpointed} of ${records} records are under no checkpoint that a trusted key has signed: whether they are genuine cannot be told`;
}

function findingsOf({ findings }: StreamOutcome): readonly RestoreFinding[] {
  return findings.map((found) => {
    const { kind, stream, message } = found;
    if ('object' in found) return { kind, object: found.object, stream, message };
    return { kind, object: found.segment, line: found.line, stream, seq: found.seq, message };
  });
}
