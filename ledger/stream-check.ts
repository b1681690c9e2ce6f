/**
 * The check of one stream, record by record. Pure. It names what was done to the stream and goes on,
 * so that one broken record does not hide the next:
 *
 *   bytes_differ  the event's text is not its canonical form (a member twice, other encoding)
 *   modified      the record does not have the hash it states, or the next record links to another
 *                 one: it was changed, and perhaps re-hashed
 *   deleted       numbers are missing and the link is broken
 *   inserted      a number occurs twice: the record that its successor does not link to is forged
 *   reordered     a number that was missing turns up later
 *
 * Whatever the bytes say, it takes memory for the findings it lists and a few words per gap.
 */
import { GENESIS_PREV_HASH, type ChainHash } from '../schemas/brand.ts';
import type { Json } from '../schemas/event.ts';
import { isCanonical, isCanonicalOf, isHashOf, SECOND_HASH_EVERY } from './content-check.ts';
import type { RecordText } from './frame.ts';

export type FindingKind =
  | 'modified'
  | 'deleted'
  | 'inserted'
  | 'reordered'
  | 'bytes_differ'
  /** A line that is no record at all. */
  | 'malformed'
  /** A whole segment, or the beginning of one, is not there. */
  | 'segment_missing'
  /** A column of the store says something else than the event beside it. */
  | 'column_differs'
  /** What a purge left is not what its record says: purge-check.ts. */
  | 'purge_mismatch'
  /** A purge took more than its checkpoint covers. */
  | 'purge_beyond_checkpoint'
  /** A record was reduced to its hashes, and no record of a purge says so. */
  | 'stub_without_purge'
  /** Up to a size that was signed the records have another tree: history was sealed again. */
  | 'rewritten'
  /** The stream ends before a size that was signed, or before a record of which somebody has the receipt. */
  | 'truncated'
  /** A record has another hash than the receipt of it that somebody kept. */
  | 'receipt_differs'
  /** A checkpoint carries a signature that is wrong, or that its key may not have made. */
  | 'bad_signature'
  /** A file with checkpoints is damaged. */
  | 'checkpoint_unreadable'
  /** The vault has forgotten a person, and no record says so. */
  | 'erasure_without_event'
  /** A record says that a person was erased, and the vault knows who it is. */
  | 'erasure_undone';

export interface Place {
  /** File name of the segment; in the store of record the table. */
  readonly segment: string;
  /** 1-based: line of the segment; in the store the row, in the order ORDER BY stream, seq. */
  readonly line: number;
}

export interface Finding extends Place {
  readonly kind: FindingKind;
  /** '' where the record cannot be read. */
  readonly stream: string;
  /** -1 where the record cannot be read. */
  readonly seq: number;
  /** Plain words, with no event content. */
  readonly message: string;
  /** Name of the column, with `column_differs`. */
  readonly column?: string;
  /** So many records right before this one may be the changed ones instead. */
  readonly doubted?: number;
}

/** Findings listed for each stream; beyond them they are counted only. */
export const FINDINGS_LISTED_MAX = 1_000;

export interface StreamSummary {
  readonly stream: string;
  readonly records: number;
  readonly next_seq: number;
  readonly head_hash: ChainHash;
  /** Last seq that is proven: all records up to it, and nothing between them, are as sealed. */
  readonly verified_to: number | null;
  /** Records from the first broken one on: nothing is proven of them. */
  readonly unproven: number;
  /** Findings in the chain, those beyond FINDINGS_LISTED_MAX too. */
  readonly findings: number;
}

export interface StreamCheck {
  /** Takes the stream's next record, in the order in which it stands in ledger or store; `event`: its text, where it is parsed. */
  take(seq: number, record: RecordText, place: Place, event?: Json): void;
  /** Whether records that begin so go on where the stream stands, and nothing is left open before them. */
  isNext(seq: number, prev_hash: ChainHash): boolean;
  /** Takes records up to `end`, whose content and links were checked; isNext MUST hold of their first. */
  takeRun(end: number, head: ChainHash, lastPlace: Place): void;
  /** Takes what a purge left of a record: link and order are checked, its content is gone. */
  takeStub(seq: number, stub: RecordHashes, place: Place): void;
  /** Findings so far, in the order in which they were made. */
  findings(): readonly Finding[];
  summary(): StreamSummary;
}

interface Taken {
  readonly seq: number;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
  readonly place: Place;
}

/** Numbers [from, to) that were not there when the record of seq `to` stood in their place. */
interface Gap {
  readonly from: number;
  readonly to: number;
  /** How many of them have not turned up since. */
  missing: number;
  /** Number of the finding `deleted`, which becomes `reordered` once all have turned up. */
  readonly finding: number;
}

/** Where the check of a stream begins whose first records were purged: at `seq`, behind `head`. */
export interface StreamStart {
  readonly seq: number;
  readonly head: ChainHash;
}

export type RecordHashes = Omit<RecordText, 'eventText'>;

const GENESIS: StreamStart = { seq: 0, head: GENESIS_PREV_HASH };

/** Begins the check of a stream, at its genesis or behind what was purged. */
export function createStreamCheck(stream: string, start: StreamStart = GENESIS): StreamCheck {
  /** By the number of the finding, in the order in which they were made. */
  const listed = new Map<number, Finding>();
  let made = 0;
  /** Ascending, apart from one another. */
  const gaps: Gap[] = [];
  const late = new Set<number>();
  let next = start.seq;
  let head: ChainHash = start.head;
  let last: Omit<Taken, 'prev_hash'> | null = null;
  /** A record that claims a number already taken, until its successor says which one is genuine. */
  let rival: (Taken & { readonly finding: number }) | null = null;
  let records = 0;
  let proven: { readonly records: number; readonly to: number } | null = null;

  /** `doubted`: how many records right before this one may be the changed ones instead. */
  function report(kind: FindingKind, at: Taken, message: string, doubted = 0): number {
    proven ??= { records: records - doubted, to: (last?.seq ?? start.seq - 1) - doubted };
    made += 1;
    const finding = { kind, stream, seq: at.seq, ...at.place, message };
    if (listed.size < FINDINGS_LISTED_MAX)
      listed.set(made, doubted === 0 ? finding : { ...finding, doubted });
    return made;
  }

  /** Nothing is missing after all: the record that seemed to follow a gap stands too early. */
  function restate({ from, to, finding }: Gap): void {
    const found = listed.get(finding);
    const what = to - from === 1 ? `that of seq ${from}` : `those of seq ${from} to ${to - 1}`;
    const message = `the record of seq ${to} stands before ${what}`;
    if (found !== undefined) listed.set(finding, { ...found, kind: 'reordered', message });
  }

  function checkContent(taken: Taken, eventText: string, event?: Json): void {
    if (!isHashOf({ ...taken, eventText }, records % SECOND_HASH_EVERY === 0)) {
      report(
        'modified',
        taken,
        'the event does not have the hash that the record states: it was changed after it was sealed',
      );
    } else if (event === undefined ? !isCanonical(eventText) : !isCanonicalOf(event, eventText)) {
      report(
        'bytes_differ',
        taken,
        'the event is not in canonical form: a member stands twice, or it is encoded in another way',
      );
    }
  }

  /** The successor of a twice-taken number links to one of the two; the other is the forged one. */
  function settleRival(successor: RecordHashes): void {
    const genuine = rival;
    rival = null;
    if (genuine === null || last === null || successor.prev_hash !== genuine.this_hash) return;
    const finding = listed.get(genuine.finding);
    if (finding !== undefined) listed.set(genuine.finding, { ...finding, ...last.place });
    head = genuine.this_hash;
    last = genuine;
  }

  function takeEarlier(taken: Taken): void {
    const gap = findGap(gaps, taken.seq);
    if (gap !== undefined && !late.has(taken.seq)) {
      late.add(taken.seq);
      gap.missing -= 1;
      if (gap.missing === 0) restate(gap);
      report('reordered', taken, `the record of seq ${taken.seq} stands after later ones`);
      return;
    }
    const isRival = taken.seq === last?.seq;
    const message = `a second record claims seq ${taken.seq} of the stream`;
    const finding = report('inserted', taken, message, isRival ? 1 : 0);
    if (isRival) rival = { ...taken, finding };
  }

  function takeNext(taken: Taken): void {
    if (taken.seq > next) {
      const upTo = taken.seq - 1;
      const what =
        next === upTo
          ? `the record of seq ${next} is missing`
          : `the records of seq ${next} to ${upTo} are missing`;
      const finding = report('deleted', taken, `${what} before this one`);
      gaps.push({ from: next, to: taken.seq, missing: taken.seq - next, finding });
    } else if (taken.prev_hash !== head) {
      const message =
        taken.seq === 0
          ? 'the first record of the stream must link to 64 zeros'
          : `this record links to another record of seq ${taken.seq - 1} than the one that stands there: one of the two was changed and hashed again`;
      report('modified', taken, message, taken.seq === 0 ? 0 : 1);
    }
    next = taken.seq + 1;
    head = taken.this_hash;
    last = taken;
  }

  function takePlace(
    seq: number,
    hashes: RecordHashes,
    place: Place,
    content?: { readonly eventText: string; readonly event: Json | undefined },
  ): void {
    settleRival(hashes);
    const taken = { seq, prev_hash: hashes.prev_hash, this_hash: hashes.this_hash, place };
    if (content !== undefined) checkContent(taken, content.eventText, content.event);
    if (seq < next) takeEarlier(taken);
    else takeNext(taken);
    records += 1;
  }

  return {
    take: (seq, record, place, event) =>
      takePlace(seq, record, place, { eventText: record.eventText, event }),
    isNext: (seq, prev_hash) => rival === null && seq === next && prev_hash === head,
    takeRun: (end, runHead, place) => {
      records += end - next;
      next = end;
      head = runHead;
      last = { seq: end - 1, this_hash: runHead, place };
    },
    takeStub: (seq, stub, place) => takePlace(seq, stub, place),
    findings: () => [...listed.values()],
    summary: () => {
      const to = proven?.to ?? next - 1;
      return {
        stream,
        records,
        next_seq: next,
        head_hash: head,
        verified_to: to < 0 ? null : to,
        unproven: proven === null ? 0 : records - proven.records,
        findings: made,
      };
    },
  };
}

/** The gap that holds a number; by halving, since hostile bytes may make many of them. */
function findGap(gaps: readonly Gap[], seq: number): Gap | undefined {
  let low = 0;
  let high = gaps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((gaps[middle]?.to ?? 0) <= seq) low = middle + 1;
    else high = middle;
  }
  const gap = gaps[low];
  return gap !== undefined && gap.from <= seq ? gap : undefined;
}
