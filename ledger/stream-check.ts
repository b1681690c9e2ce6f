/**
 * The check of one stream, record by record. Pure. It names what was done to the stream and goes on,
 * so that one broken record does not hide the next:
 *
 *   bytes_differ  the event's text is not its canonical form (a member twice, other encoding)
 *   modified      the record does not have the hash it states, or the next record links to another
 *                 one: it was changed, and perhaps re-hashed
 *   deleted       numbers are missing and the link is broken
 *   inserted      a number occurs twice: the record that its successor does not link to is forged
 *   reordered     numbers that were missing turn up later
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { GENESIS_PREV_HASH, type ChainHash } from '../schemas/brand.ts';
import { canonicalize, parseJson } from '../schemas/canonical.ts';
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
  | 'segment_missing';

export interface Place {
  readonly segment: string;
  /** 1-based. */
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
}

/** The hash of a record, by an implementation independent of the one that sealed it. */
export function rehash(prevHash: string, eventText: string): string {
  return bytesToHex(sha256(utf8ToBytes(prevHash + eventText)));
}

/** Whether the text is the RFC 8785 form of what it says. */
export function isCanonical(eventText: string): boolean {
  try {
    return canonicalize(parseJson(eventText)) === eventText;
  } catch {
    // No JSON, or none with a canonical form: either way the answer is no.
    return false;
  }
}

export interface StreamSummary {
  readonly stream: string;
  readonly records: number;
  readonly next_seq: number;
  readonly head_hash: ChainHash;
  /** Records from the genesis on that are proven, before the first finding. */
  readonly intact_to: number;
  /** Records at and after the first finding: nothing is proven of them. */
  readonly not_proven: number;
}

export interface StreamCheck {
  /** Takes the stream's next record, in the order in which it stands in the ledger. */
  take(seq: number, record: RecordText, place: Place): void;
  /** Findings so far, in the order of the records. */
  findings(): readonly Finding[];
  summary(): StreamSummary;
}

interface Taken {
  readonly seq: number;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
  readonly place: Place;
}

/** Begins the check of a stream, at its genesis. */
export function createStreamCheck(stream: string): StreamCheck {
  const findings: Finding[] = [];
  const missing = new Map<number, Finding>();
  let next = 0;
  let head: ChainHash = GENESIS_PREV_HASH;
  let last: Taken | null = null;
  /** A record that claims a number already taken, until its successor says which one is genuine. */
  let rival: Taken | null = null;
  let records = 0;
  let firstBroken: number | null = null;

  function report(kind: FindingKind, seq: number, place: Place, message: string): Finding {
    const finding: Finding = { kind, stream, seq, ...place, message };
    findings.push(finding);
    firstBroken ??= records;
    return finding;
  }

  function checkContent(seq: number, record: RecordText, place: Place): void {
    if (rehash(record.prev_hash, record.eventText) !== record.this_hash) {
      report(
        'modified',
        seq,
        place,
        'the event does not have the hash that the record states: it was changed after it was sealed',
      );
    } else if (!isCanonical(record.eventText)) {
      report(
        'bytes_differ',
        seq,
        place,
        'the event is not in canonical form: a member stands twice, or it is encoded in another way',
      );
    }
  }

  /** The successor of a twice-taken number links to one of the two; the other is the forged one. */
  function settleRival(successor: RecordText): void {
    if (rival === null || last === null || successor.prev_hash !== rival.this_hash) {
      rival = null;
      return;
    }
    const at = findings.findLastIndex(
      (finding) => finding.kind === 'inserted' && finding.seq === last?.seq,
    );
    const found = findings[at];
    if (found !== undefined) findings[at] = { ...found, ...last.place };
    head = rival.this_hash;
    last = rival;
    rival = null;
  }

  function takeEarlier(taken: Taken): void {
    const gap = missing.get(taken.seq);
    if (gap !== undefined) {
      missing.delete(taken.seq);
      const at = findings.indexOf(gap);
      const message = `the record of seq ${taken.seq} stands after later ones`;
      if (at !== -1) findings[at] = { ...gap, kind: 'reordered', message };
      else report('reordered', taken.seq, taken.place, message);
      return;
    }
    report(
      'inserted',
      taken.seq,
      taken.place,
      `a second record claims seq ${taken.seq} of the stream`,
    );
    if (last !== null && taken.seq === last.seq) rival = taken;
  }

  function takeNext(taken: Taken): void {
    if (taken.seq > next) {
      const upTo = taken.seq - 1;
      const what =
        next === upTo
          ? `the record of seq ${next} is missing`
          : `the records of seq ${next} to ${upTo} are missing`;
      const finding = report('deleted', taken.seq, taken.place, `${what} before this one`);
      for (let seq = next; seq < taken.seq; seq++) missing.set(seq, finding);
    } else if (taken.prev_hash !== head) {
      const message =
        taken.seq === 0
          ? 'the first record of the stream must link to 64 zeros'
          : `this record links to another record of seq ${taken.seq - 1} than the one that stands there: one of the two was changed and hashed again`;
      report('modified', taken.seq, taken.place, message);
    }
    next = taken.seq + 1;
    head = taken.this_hash;
    last = taken;
  }

  return {
    take: (seq, record, place) => {
      settleRival(record);
      checkContent(seq, record, place);
      const taken = { seq, prev_hash: record.prev_hash, this_hash: record.this_hash, place };
      if (seq < next) takeEarlier(taken);
      else takeNext(taken);
      records += 1;
    },
    findings: () => findings,
    summary: () => ({
      stream,
      records,
      next_seq: next,
      head_hash: head,
      intact_to: firstBroken ?? records,
      not_proven: firstBroken === null ? 0 : records - firstBroken,
    }),
  };
}
