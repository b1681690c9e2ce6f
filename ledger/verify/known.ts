/**
 * What is known of streams from elsewhere than their records: checkpoints that the agent signed, and receipts
 * that somebody kept. No chain can show of itself that its end was cut off or that all of it was sealed again;
 * held against these it can. Pure.
 */
import type { ChainHash } from '../../schemas/brand.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { EMPTY_RANGE, type CompactRange } from '../merkle/range.ts';
import { createTreeCheck, type TreeCheck } from '../merkle/tree-check.ts';
import type { AnchorProof } from '../proof-file.ts';
import type { Finding, FindingKind, Place } from '../stream-check.ts';
import type { KnownSizes, Run } from './summary.ts';

/** A checkpoint, and how far it is to be believed. */
export interface KnownCheckpoint extends Checkpoint {
  /** The signed note that it stands in. */
  readonly note: string;
  /** A trusted key has signed it, or the anchor log that it lies in. */
  readonly isSigned: boolean;
}

/** A receipt of a record, as `record()` resolves to it. */
export interface KnownReceipt {
  readonly seq: number;
  readonly this_hash: string;
}

/** When anchors had a checkpoint of the stream, or one that continues it. */
export interface Anchoring {
  readonly size: bigint;
  /** RFC 3339. */
  readonly time: string;
  readonly by: readonly string[];
}

export interface KnownStream {
  readonly checkpoints: readonly KnownCheckpoint[];
  readonly receipts: readonly KnownReceipt[];
  /** Null: no policy was given, or anchors have none of its checkpoints. */
  readonly anchoring: Anchoring | null;
}

/** What is known of all streams, by name. */
export interface Known {
  readonly streams: ReadonlyMap<string, KnownStream>;
  /** Whether keys were given by which checkpoints were judged. */
  readonly isJudged: boolean;
  /** Whether a policy was given by which anchors were judged. */
  readonly isAnchorAsked: boolean;
  /** What was found in the files of checkpoints themselves. */
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
  /** Why a checkpoint of this origin is a forgery; null: it is none, or no keys were given, or not its key. */
  judge(note: string, origin: string): string | null;
  /** The tree of a stream's first records where those were removed, whether right or not; null: not there. */
  readBase(stream: string, size: bigint): Promise<CompactRange | null>;
  /** What shows, to somebody who has nothing else, that a checkpoint of this size was anchored; null: not there. */
  readAnchor?(stream: string, size: bigint): Promise<AnchorProof | null>;
}

/** How far what is known reaches into the records. */
export interface Cover {
  /** Seq from which on they are others than those that were signed; null: all fit. */
  readonly rewritten_from: number | null;
  /** Size of the newest checkpoint that fits; null: none does. */
  readonly fits_to: string | null;
  /** Size of the newest that fits and is signed; null: there is none. */
  readonly signed_to: string | null;
  /** Size up to which anchors had the stream, and since when; null: not known. */
  readonly anchored: {
    readonly size: string;
    readonly time: string;
    readonly by: readonly string[];
  } | null;
}

export interface KnownCheck {
  /** Takes a run of records that goes on where the stream stands. */
  takeRun(run: Run, lastPlace: Place): void;
  /** Takes the next record as it stands, in order or not. */
  take(seq: number, thisHash: ChainHash, place: Place): void;
  /** After the last record; `end` is where more of the stream would stand, null where it is not read to its end. */
  conclude(end: Place | null): { readonly findings: readonly Finding[]; readonly cover: Cover };
}

/** The sizes at which a run has to be cut, so that each can be looked at. */
export function knownSizes({ streams }: Known): KnownSizes {
  return new Map(
    [...streams].map(([stream, { checkpoints, receipts }]) => {
      const sizes = [
        ...checkpoints.map(({ size }) => Number(size)),
        ...receipts.map(({ seq }) => seq + 1),
      ];
      return [stream, [...new Set(sizes)].sort((one, other) => one - other)];
    }),
  );
}

/**
 * Begins the check of a stream behind `base`, the tree of what is not read, whether right or not; where that is not
 * to be had, behind so many records, and then no tree can be grown.
 */
export function createKnownCheck(
  stream: string,
  { checkpoints, receipts, anchoring }: KnownStream,
  base: CompactRange | bigint = EMPTY_RANGE,
): KnownCheck {
  const signed = checkpoints.filter(({ isSigned }) => isSigned);
  let tree: TreeCheck | null = typeof base === 'bigint' ? null : createTreeCheck(checkpoints, base);
  const hashes = new Map(receipts.map(({ seq, this_hash }) => [seq, this_hash]));
  const findings: Finding[] = [];
  let matched = 0n;
  let isRewritten = false;
  let next = Number(typeof base === 'bigint' ? base : base.end);

  function report(kind: FindingKind, seq: number, place: Place, message: string): void {
    findings.push({ kind, stream, seq, ...place, message });
  }

  function compareRoot(place: Place): void {
    if (tree === null || isRewritten) return;
    const differs = tree.differs();
    if (differs === null) {
      matched = tree.fitsTo();
      return;
    }
    isRewritten = true;
    const message = `records from seq ${matched} up to ${differs - 1n} do not have the tree that was signed at size ${differs}: one of them was changed or added and all that follow were sealed again`;
    report('rewritten', Number(matched), place, message);
  }

  function compareReceipt(seq: number, hash: ChainHash, place: Place): void {
    const kept = hashes.get(seq);
    if (kept === undefined) return;
    hashes.delete(seq);
    if (kept === hash) return;
    const message = `the record of seq ${seq} is not the one of which a receipt was given`;
    report('receipt_differs', seq, place, message);
  }

  function findMissing(end: Place): void {
    const newest = checkpoints.reduce((most, { size }) => (size > most ? size : most), 0n);
    const missing = newest - BigInt(next);
    if (missing > 0n) {
      const message = `the stream ends before seq ${next}, and a checkpoint of size ${newest} was signed: ${missing} records at its end were removed, or never came here`;
      report('truncated', next, end, message);
    }
    const seq = [...hashes.keys()].find((one) => one >= next);
    if (seq !== undefined) {
      const message = `the stream ends before seq ${next}, and a receipt of seq ${seq} was given: that record was removed, or never came here`;
      report('truncated', next, end, message);
    }
  }

  return {
    takeRun: ({ parts }, lastPlace) => {
      const last = parts.at(-1)?.lastLine ?? 0;
      for (const { end, head, range, lastLine } of parts) {
        const place = { ...lastPlace, line: lastPlace.line - (last - lastLine) };
        if (range !== null) tree?.takeRange(range);
        next = end;
        compareReceipt(end - 1, head, place);
        compareRoot(place);
      }
    },
    take: (seq, thisHash, place) => {
      compareReceipt(seq, thisHash, place);
      // Of a number that stands twice the first counts; behind a hole there is no tree.
      if (seq < next) return;
      if (seq > next) tree = null;
      next = seq + 1;
      tree?.take(thisHash);
      compareRoot(place);
    },
    conclude: (end) => {
      if (end !== null) findMissing(end);
      const reached = signed.filter(({ size }) => size <= matched).map(({ size }) => size);
      const signedTo = reached.reduce<bigint | null>(
        (most, size) => (most === null || size > most ? size : most),
        null,
      );
      const isAnchored = anchoring !== null && signedTo !== null && anchoring.size <= signedTo;
      return {
        findings,
        cover: {
          rewritten_from: isRewritten ? Number(matched) : null,
          fits_to: matched === 0n ? null : String(matched),
          signed_to: signedTo === null ? null : String(signedTo),
          anchored: isAnchored ? { ...anchoring, size: String(anchoring.size) } : null,
        },
      };
    },
  };
}
