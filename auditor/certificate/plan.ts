/** What of a stream has to be read to certify an answer, and which checkpoint fixes it. Pure. */
import { parseCheckpoint } from '../../ledger/checkpoint.ts';
import { parseNote } from '../../ledger/note.ts';
import type { SeenPurge } from '../../ledger/purge-check.ts';
import type { KnownCheckpoint, KnownStream } from '../../ledger/verify/known.ts';
import type { Window } from '../../store/verify-places.ts';
import type { Extent, SeqRange } from './range.ts';

export interface StreamPlan {
  /** Records of the question's time and of the answer. */
  readonly range: SeqRange;
  /** The range and a neighbour on either side are read whole; reading ends where the checkpoint needs no more. */
  readonly window: Window;
  /** What is known of it up to there. */
  readonly known: KnownStream | undefined;
  /** The checkpoint that is to vouch for the range; null: none is known. */
  readonly checkpoint: KnownCheckpoint | null;
}

export interface PlannedPurges {
  /** Of this stream. */
  readonly of: readonly SeenPurge[];
  /** Where records of purges stand in it: what they excuse rests on their being sealed. */
  readonly recorded: readonly number[];
}

/**
 * Plans. The smallest checkpoint that covers the range and the record behind it is the one: a later one would say no more
 * of them, and the certificate would be another each time. Where there is nothing behind the range all checkpoints
 * count: the end may have been cut off.
 */
export function planStream(
  range: SeqRange,
  extent: Extent,
  known: KnownStream | undefined,
  { of, recorded }: PlannedPurges,
): StreamPlan {
  const first = Math.max(extent.begin, range.from - 1);
  const to = Math.min(range.to + 1, extent.end);
  const isAtEnd = range.to >= extent.end;
  const bySize = [...(known?.checkpoints ?? [])].sort((one, other) =>
    one.size < other.size ? -1 : 1,
  );
  const signed = bySize.filter(({ isSigned }) => isSigned);
  const usable = signed.length > 0 ? signed : bySize;
  // What anchors had is known of one checkpoint.
  const anchored = known?.anchoring?.size ?? 0n;
  const excused = Math.max(to, ...recorded.map((seq) => seq + 1));
  const least = anchored > BigInt(excused) ? anchored : BigInt(excused);
  // One beyond the end says that it was cut off, or is late; it is asked where no other one covers the range.
  const there = usable.filter(({ size }) => size <= BigInt(extent.end));
  const covering =
    there.find(({ size }) => size >= least) ??
    there.findLast(covers(to)) ??
    usable.find(covers(to));
  const end = isAtEnd || (covering === undefined && usable.length > 0) ? null : to;
  // A purge is judged by the checkpoint that its record carries.
  const purgedTo = of.map(({ checkpoint, size }) => Math.max(size, sizeOf(checkpoint)));
  const reach = Math.max(excused, Number(covering?.size ?? 0n), ...purgedTo);
  const checkpoint =
    covering ?? usable.findLast(({ size }) => size <= BigInt(extent.end)) ?? usable.at(-1) ?? null;
  const upTo = end === null ? null : reach;
  return {
    range,
    window: { from: Math.min(first, range.from), to, end: upTo },
    known: known && {
      ...known,
      checkpoints: bySize.filter(({ size }) => upTo === null || size <= BigInt(upTo)),
      receipts: known.receipts.filter(({ seq }) => upTo === null || seq < upTo),
    },
    checkpoint,
  };
}

const covers =
  (to: number) =>
  ({ size }: KnownCheckpoint): boolean =>
    size >= BigInt(to);

function sizeOf(note: string): number {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  return Number(checkpoint?.size ?? 0n);
}
