/**
 * What is left of a stream after a purge, held against the record of the purge. Pure. It sees every
 * place of the stream from the first that is there, whole or a stub, and checks
 *
 *   the named hashes     of records size - 1 and base - 1
 *   the kept records     whole below `size`, by number and digest: one that was held and is gone shows
 *   the tree             compact range of [0, base) + every place from base on = range of [0, size),
 *                        and on to the checkpoint that the record carries: = the root that was signed
 *
 * A purge that was interrupted has more left than its record says: that is no finding, and nothing can be told
 * before it is carried out.
 */
import type { ChainHash } from '../schemas/brand.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { hashRecordLeaf, isSameHash } from './merkle/hash.ts';
import { createRange, type CompactRange, type RangeBuilder } from './merkle/range.ts';
import { parseNote } from './note.ts';
import { digestKept, PURGE_TILE, type PurgeRecord } from './purge-record.ts';
import type { Finding, Place, StreamStart } from './stream-check.ts';

export interface PurgeCheck {
  /** From this place on purges have nothing to say: only the chain is left to be judged. */
  readonly settledFrom: number;
  /** Where the chain begins, given the first place that is there. */
  start(first: { readonly seq: number; readonly prev_hash: ChainHash }): StreamStart;
  /** Takes the next place; `purge` is what a stub names, null of a whole record. */
  take(seq: number, this_hash: ChainHash, place: Place, purge: StubReference | null): void;
  /** Says that the places up to this one, which are whole and purges have nothing to say of, have been taken. */
  pass(seq: number, place: Place): void;
  /** After the last place; `end` is where more of the stream would stand. */
  conclude(end: Place): PurgeVerdict;
}

export interface PurgeVerdict {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
  /** Why nothing can be told: more is left than the record says, and so it does not say what that should be. */
  readonly doubt: string | null;
}

/** Where a stub says that the record of its purge is. */
export interface StubReference {
  readonly stream: string;
  readonly seq: number;
}

export interface SeenPurge extends PurgeRecord {
  /** Its own place. */
  readonly record: StubReference;
}

/** Begins the check of a stream; `purges` are the records of its purges that are there, the newest last. */
export function createPurgeCheck(stream: string, purges: readonly SeenPurge[]): PurgeCheck {
  const newest = purges.at(-1);
  const findings: Finding[] = [];
  const notes: string[] = [];
  const checkpoint = newest === undefined ? null : readCheckpoint(newest.checkpoint);
  const kept: number[] = [];
  let tree: RangeBuilder | null =
    newest === undefined ? null : createRange(copyOf(newest.base_range));
  let isBegun = false;
  let isUnfinished = false;
  let last: { seq: number; place: Place } | null = null;
  let firstStubFault = false;

  function report(kind: Finding['kind'], seq: number, place: Place, message: string): void {
    findings.push({ kind, stream, seq, ...place, message });
  }

  function takeStub(seq: number, place: Place, named: StubReference): void {
    const covers = purges.some(
      ({ record, size }) =>
        record.stream === named.stream && record.seq === named.seq && seq < size,
    );
    if (covers || firstStubFault) return;
    firstStubFault = true;
    const message = `only the hashes are left of seq ${seq}, and record ${named.seq} of ${named.stream || 'no stream'} is no record of a purge that took it`;
    report('stub_without_purge', seq, place, message);
  }

  function checkNamed(
    { size, base, head_hash, base_hash }: SeenPurge,
    seq: number,
    hash: ChainHash,
    place: Place,
  ): void {
    const isWrong =
      (seq === size - 1 && hash !== head_hash) || (seq === base - 1 && hash !== base_hash);
    if (isWrong)
      report(
        'purge_mismatch',
        seq,
        place,
        `seq ${seq} has another hash than the record of the purge names`,
      );
  }

  function grow(purge: SeenPurge, seq: number, hash: ChainHash, place: Place): void {
    if (tree === null || seq < purge.base) return;
    if (tree.end() === BigInt(seq)) tree.append(hashRecordLeaf(hash));
    else tree = null; // A hole, which the chain reports.
    if (tree?.end() === BigInt(purge.size)) compareRange(purge, seq, place, tree);
    if (checkpoint !== null && tree?.end() === checkpoint.size)
      compareRoot(checkpoint, seq, place, tree);
  }

  function compareRange(
    { range }: SeenPurge,
    seq: number,
    place: Place,
    grown: RangeBuilder,
  ): void {
    const { hashes } = grown.range();
    if (hashes.every((hash, at) => isSameHash(hash, range.hashes[at] ?? new Uint8Array()))) return;
    report(
      'purge_mismatch',
      seq,
      place,
      'the tree of what is left is not the one that the record of the purge names',
    );
    tree = null;
  }

  function compareRoot({ root }: Checkpoint, seq: number, place: Place, grown: RangeBuilder): void {
    if (!isSameHash(grown.root(), root))
      report(
        'purge_mismatch',
        seq,
        place,
        'the tree of what is left does not have the root of the checkpoint that the record of the purge carries',
      );
    tree = null;
  }

  function begin(purge: SeenPurge, seq: number, place: Place): void {
    isBegun = true;
    isUnfinished = seq < purge.base;
    if (checkpoint?.origin !== stream)
      report(
        'purge_mismatch',
        seq,
        place,
        'the record of the purge carries no checkpoint of this stream',
      );
    else if (checkpoint.size < BigInt(purge.size))
      report(
        'purge_beyond_checkpoint',
        seq,
        place,
        `the purge took ${purge.size} records, and its checkpoint covers ${checkpoint.size}`,
      );
    // With nothing kept, the whole prefix is in the named range.
    if (purge.base === purge.size && tree !== null) compareRange(purge, seq, place, tree);
  }

  /** The record of the purge says how much there was, and its checkpoint by whose word. */
  function checkEnd({ base, size, record }: SeenPurge, end: Place): void {
    const next = last === null ? base : last.seq + 1;
    const promised = Math.max(size, Number(checkpoint?.size ?? 0n));
    if (next >= promised) return;
    const message = `the stream ends before seq ${next}, and record ${record.seq} of ${record.stream}, which tells of a purge, has a checkpoint of ${promised} records: those at its end were removed`;
    report('truncated', next, end, message);
  }

  function checkKept(purge: SeenPurge, place: Place): void {
    if (kept.length > purge.kept) isUnfinished = true;
    else if (digestKept(kept) !== purge.kept_sha256) {
      const message = `of the ${purge.kept} records below seq ${purge.size} that the purge kept, ${kept.length} are there, or others`;
      report('purge_mismatch', purge.base, place, message);
    }
  }

  return {
    settledFrom: newest === undefined ? 0 : Math.max(newest.size, Number(checkpoint?.size ?? 0n)),
    pass: (seq, place) => {
      last = { seq, place };
    },
    start: ({ seq, prev_hash }) => {
      if (newest === undefined || seq === 0) return { seq: 0, head: '0'.repeat(64) as ChainHash };
      if (seq < newest.base && seq % PURGE_TILE === 0) return { seq, head: prev_hash };
      return { seq: newest.base, head: newest.base_hash };
    },
    take: (seq, hash, place, stub) => {
      if (newest !== undefined) {
        if (!isBegun) begin(newest, seq, place);
        if (seq < newest.size && stub === null) kept.push(seq);
        checkNamed(newest, seq, hash, place);
        grow(newest, seq, hash, place);
      }
      if (stub !== null) takeStub(seq, place, stub);
      last = { seq, place };
    },
    conclude: (end) => {
      if (newest === undefined) return { findings, notes, doubt: null };
      const { size, record } = newest;
      checkKept(newest, last?.place ?? end);
      checkEnd(newest, end);
      const said = `record ${record.seq} of ${record.stream}`;
      let doubt: string | null = null;
      if (isUnfinished)
        doubt = `the purge of ${stream} up to seq ${size - 1} (${said}) was not carried out to its end: run the purge again`;
      else
        notes.push(
          `records of ${stream} up to seq ${size - 1} were purged, ${newest.kept} of them kept under a hold: ${said}`,
        );
      return { findings, notes, doubt };
    },
  };
}

function readCheckpoint(note: string): Checkpoint | null {
  const parsed = parseNote(note);
  return parsed.ok ? parseCheckpoint(parsed.value.text) : null;
}

function copyOf(range: CompactRange): CompactRange {
  return { ...range, hashes: [...range.hashes] };
}
