/**
 * The verification of one stream of the store: its places in order, from its genesis or from behind what was purged,
 * judged by chain, by the records of its purges, and by what is known of it. Of a window all records are read and
 * compared with their columns; of what lies around it the hashes, which is all that chain and tree are made of.
 */
import type { ClientBase } from 'pg';
import { readChain } from '../ledger/chain-place.ts';
import { createExamination, type Examination } from '../ledger/examination.ts';
import { createPurgeCheck, type SeenPurge } from '../ledger/purge-check.ts';
import type { Finding } from '../ledger/stream-check.ts';
import {
  createKnownCheck,
  type Cover,
  type Known,
  type KnownCheck,
  type KnownStream,
} from '../ledger/verify/known.ts';
import { chainHash, isChainHash, type ChainHash } from '../schemas/brand.ts';
import type { Json } from '../schemas/event.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { findDifferences, type SealedRow } from './sealed-row.ts';
import { readPlaces, type StoredPlace, type StoredPurge, type Window } from './verify-places.ts';
import type { RangeSummary } from './verify-range.ts';
import type { Stream } from './verify-queries.ts';

export const TABLE = 'audit.records';
const STUBS = 'audit.stubs';

/** What a verification has gathered so far. */
export interface Run {
  readonly examination: Examination;
  /** `<stream_id> <seq>` -> how often the event of that record is shown, where that is not once. */
  miscounted: ReadonlyMap<string, number>;
  /** `<stream> <seq>` -> the hashes that records of purges have in that place, until it is read. */
  readonly recorded: Map<string, string[]>;
  readonly known: Known | null;
  readonly covers: Map<string, Cover>;
  /** Why nothing can be told. */
  readonly doubts: string[];
  records: number;
  bytes: number;
}

export interface StreamReading {
  readonly stream: Stream;
  readonly purges: readonly SeenPurge[];
  /** What is known of it; undefined: nothing. */
  readonly known: KnownStream | undefined;
  /** Default: all of it is read whole. */
  readonly window?: Window;
  /** Called for each place, in order; `read` is null where it was not read whole. */
  readonly onPlace?: (place: PlaceHashes, kind: StoredPlace['kind'], read: ReadRow | null) => void;
  /** Called once a batch. */
  readonly onProgress?: () => void;
}

/** A record that was read whole, and its event; null where it is none. */
export interface ReadRow {
  readonly row: SealedRow;
  readonly event: Json | null;
}

export interface PlaceHashes {
  readonly seq: number;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/** Reads a stream, or what its window asks for; returns how many places that were. */
export async function verifyStream(
  client: ClientBase,
  reading: StreamReading,
  run: Run,
): Promise<number> {
  const { stream, window, onProgress } = reading;
  const judged = judgeStream(reading, run);
  for await (const batch of readPlaces(client, stream.stream_id, window)) {
    judged.take(batch);
    onProgress?.();
  }
  return judged.conclude();
}

/** Begins with nothing. */
export function beginRun(known: Known | null): Run {
  return {
    ...{ examination: createExamination(), miscounted: new Map(), recorded: new Map() },
    ...{ known, covers: new Map(), doubts: [], records: 0, bytes: 0 },
  };
}

/** Expects records of purges where they say that they stand. */
export function expectRecorded(purges: Iterable<StoredPurge>, { recorded }: Run): void {
  for (const { record, this_hash } of purges) {
    const place = `${record.stream} ${record.seq}`;
    recorded.set(place, [...(recorded.get(place) ?? []), this_hash]);
  }
}

/**
 * Such as stand nowhere: the store showed them to whoever looks for purges, and to nobody else. `read`: the streams that were
 * read; null: all.
 */
export function reportStray(
  { recorded, examination, records }: Run,
  read: ReadonlySet<string> | null = null,
): void {
  for (const place of recorded.keys()) {
    const [stream = '', seq] = place.split(' ');
    const where = { stream, seq: Number(seq), segment: TABLE, line: records + 1 };
    if (read?.has(stream) !== false)
      examination.report({ kind: 'purge_mismatch', ...where, message: STRAY });
    else
      examination.note(
        `record ${seq} of ${stream}, which tells of a purge, was not read: verify all of the store to see that it stands there`,
      );
  }
}

/** Which of these rest on records that no trusted key has signed: whoever has the store can put such records behind the last checkpoint. */
export function doubtPurges(purges: Iterable<SeenPurge>, { known, covers }: Run): string[] {
  if (known?.isJudged !== true) return [];
  return [...purges].flatMap(({ stream, record }) => {
    const cover = covers.get(record.stream);
    if (BigInt(cover?.signed_to ?? 0) > BigInt(record.seq)) return [];
    const why =
      cover === undefined
        ? 'of which nothing that was signed was held against it: verify all of the store'
        : 'which is under no checkpoint that a trusted key has signed; if that was purged just now, ask again in a minute';
    return [`the purge of ${stream} rests on record ${record.seq} of ${record.stream}, ${why}`];
  });
}

const STRAY = 'the store shows a record of a purge that does not stand in its place';

/** The verification of a stream while it is read, in order. */
export interface JudgedStream {
  /** Before this place no range is taken. */
  readonly settledFrom: number;
  take(places: readonly StoredPlace[]): void;
  /** Takes a range that was summed up; false: it does not go on where the stream stands. */
  takeRange(range: RangeSummary): boolean;
  /** Ends it. Returns how many places that were. */
  conclude(): number;
}

/** Begins with the verification of a stream. */
export function judgeStream(
  { stream, purges, known, onPlace }: Omit<StreamReading, 'window' | 'onProgress'>,
  run: Run,
): JudgedStream {
  const { examination } = run;
  const check = createPurgeCheck(stream.stream, purges);
  const { settledFrom } = check;
  let knownCheck: KnownCheck | null = null;
  let places = 0;
  /** A record was read whole, row by row or summed up: it is of the stream's tenant. */
  let isRead = false;

  function begin(first: Omit<PlaceHashes, 'this_hash'>): void {
    if (places > 0) return;
    const start = check.start(first);
    examination.begin(stream.stream, start);
    knownCheck = beginKnown(stream.stream, known, start.seq, purges);
  }

  function takePlace(one: StoredPlace): void {
    const hashes = hashesOf(one);
    const { seq, this_hash } = hashes;
    begin(hashes);
    places += 1;
    let place = { segment: STUBS, line: places };
    const recorded = `${stream.stream} ${seq}`;
    const isStray = run.recorded.get(recorded)?.some((hash) => hash !== this_hash) === true;
    run.recorded.delete(recorded);
    let read: ReadRow | null = null;
    if (one.kind === 'record') {
      read = { row: one.row, event: takeRow(one.row, stream, !isRead, run) };
      isRead = true;
      place = { segment: TABLE, line: run.records };
    } else {
      if (one.kind === 'link') place = { segment: TABLE, line: places };
      examination.takeStub(stream.stream, seq, hashes, place);
    }
    if (isStray)
      examination.report({
        ...{ kind: 'purge_mismatch', stream: stream.stream, seq, ...place, message: STRAY },
      });
    check.take(seq, this_hash, place, one.kind === 'stub' ? one.stub.purge : null);
    knownCheck?.take(seq, this_hash, place);
    onPlace?.(hashes, one.kind, read);
  }

  return {
    settledFrom,
    take: (batch) => {
      for (const one of batch) takePlace(one);
    },
    takeRange: ({ run: rows, records, bytes, genesis }) => {
      const end = rows?.parts.at(-1)?.end;
      if (rows === null || end === undefined) return true;
      // What purges left is looked at place by place, and so is where it ends.
      if (rows.first < settledFrom || (places === 0 && settledFrom > 0)) return false;
      begin({ seq: rows.first, prev_hash: rows.prev_hash });
      if (!examination.isNext(stream.stream, rows.first, rows.prev_hash)) return false;
      places += end - rows.first;
      run.records += records;
      run.bytes += bytes;
      isRead ||= records > 0;
      const place = { segment: TABLE, line: records > 0 ? run.records : places };
      examination.takeRun(rows, place);
      const said = genesis === null ? null : readChain(genesis);
      if (said !== null)
        examination.noteGenesis(said, { ...place, line: run.records - records + 1 });
      check.pass(end - 1, place);
      knownCheck?.takeRun(rows, place);
      return true;
    },
    conclude: () => {
      const end = { segment: TABLE, line: run.records + 1 };
      const { findings, notes, doubt } = check.conclude(end);
      if (doubt !== null) run.doubts.push(doubt);
      const unsigned = purges.flatMap((purge) => judgePurge(purge, stream.stream, run));
      // Also where no record is left: a stream that was emptied keeps its name.
      knownCheck ??= beginKnown(stream.stream, known, purges.at(-1)?.size ?? 0, purges);
      const said = knownCheck?.conclude(end);
      if (said !== undefined) run.covers.set(stream.stream, said.cover);
      for (const finding of [...findings, ...unsigned, ...(said?.findings ?? [])])
        examination.report(finding);
      for (const note of notes) examination.note(note);
      return places;
    },
  };
}

/** Begins where the stream does: at its genesis, or behind what a purge took, whose tree its record names. */
function beginKnown(
  stream: string,
  known: KnownStream | undefined,
  seq: number,
  purges: readonly SeenPurge[],
): KnownCheck | null {
  if (known === undefined) return null;
  if (seq === 0) return createKnownCheck(stream, known);
  const base = purges.find((purge) => purge.base === seq)?.base_range;
  return createKnownCheck(stream, known, base ?? BigInt(seq));
}

/** A purge rests on its checkpoint, which somebody without the key can make up. */
function judgePurge({ checkpoint, size }: SeenPurge, stream: string, run: Run): Finding[] {
  const reason = run.known?.judge(checkpoint, stream) ?? null;
  if (reason === null) return [];
  const message = `the checkpoint that the record of the purge carries is not to be believed: ${reason}`;
  return [
    { kind: 'purge_mismatch', stream, seq: size - 1, segment: TABLE, line: run.records, message },
  ];
}

function hashesOf(one: StoredPlace): PlaceHashes {
  if (one.kind === 'stub') return one.stub;
  if (one.kind === 'link') return one.link;
  const { seq, prev_hash, this_hash } = one.row;
  return { seq: Number(seq), prev_hash: chainHash(prev_hash), this_hash: chainHash(this_hash) };
}

/** The event of the row; null where it is no record. */
function takeRow(row: SealedRow, stream: Stream, isFirst: boolean, run: Run): Json | null {
  run.records += 1;
  run.bytes += Buffer.byteLength(row.event_bytes);
  const place = { segment: TABLE, line: run.records };
  const where = { stream: stream.stream, seq: Number(row.seq) };
  const { event_bytes: eventText, prev_hash, this_hash } = row;
  const record =
    isChainHash(prev_hash) && isChainHash(this_hash) ? { eventText, prev_hash, this_hash } : null;
  const said = run.examination.take(record, place, where);
  if (said === null) return null;
  // Of any form, since it may be forged: findDifferences takes it as it comes.
  const event = said.event as unknown as SealedEvent;
  const differs = (column: string, message: string): void =>
    run.examination.report({ kind: 'column_differs', ...where, ...place, column, message });
  for (const column of findDifferences(row, event))
    differs(column, `column ${column} says something else than the event`);
  if (said.chain.stream !== stream.stream)
    differs('stream_id', 'the row is filed under another stream than the event names');
  else if (isFirst && event.resource?.tenant_id !== stream.tenant_id)
    differs('streams.tenant_id', 'audit.streams files the stream under another tenant');
  const shown = run.miscounted.get(`${stream.stream_id} ${row.seq}`);
  if (shown !== undefined)
    differs(
      'duplicate',
      `queries show the event ${shown} times instead of once: a mark of repetition was edited, or the id of an event`,
    );
  return said.event;
}
