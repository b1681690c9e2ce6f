/**
 * The verification of one stream of the store: its places in order, from its genesis or from behind what was purged,
 * judged by chain, by the records of its purges, and by what is known of it. Of a window all records are read and
 * compared with their columns; of what lies around it the hashes, which is all that chain and tree are made of.
 */
import type { ClientBase } from 'pg';
import type { Examination } from '../ledger/examination.ts';
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
import { readPlaces, type StoredPlace, type Window } from './verify-places.ts';
import type { Stream } from './verify-queries.ts';

export const TABLE = 'audit.records';
const STUBS = 'audit.stubs';

/** What a verification has gathered so far. */
export interface Run {
  readonly examination: Examination;
  /** `<stream_id> <seq>` -> how often the event of that record is shown, where that is not once. */
  miscounted: ReadonlyMap<string, number>;
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
  { stream, purges, known, window, onPlace, onProgress }: StreamReading,
  run: Run,
): Promise<number> {
  const check = createPurgeCheck(stream.stream, purges);
  let knownCheck: KnownCheck | null = null;
  let places = 0;
  for await (const batch of readPlaces(client, stream.stream_id, window)) {
    for (const one of batch) {
      const hashes = hashesOf(one);
      const { seq, this_hash } = hashes;
      if (places === 0) {
        const start = check.start(hashes);
        run.examination.begin(stream.stream, start);
        knownCheck = beginKnown(stream.stream, known, start.seq, purges);
      }
      places += 1;
      let place = { segment: STUBS, line: places };
      let read: ReadRow | null = null;
      if (one.kind === 'record') {
        read = { row: one.row, event: takeRow(one.row, stream, places === 1, run) };
        place = { segment: TABLE, line: run.records };
      } else {
        if (one.kind === 'link') place = { segment: TABLE, line: places };
        run.examination.takeStub(stream.stream, seq, hashes, place);
      }
      check.take(seq, this_hash, place, one.kind === 'stub' ? one.stub.purge : null);
      knownCheck?.take(seq, this_hash, place);
      onPlace?.(hashes, one.kind, read);
    }
    onProgress?.();
  }
  const { findings, notes, doubt } = check.conclude();
  if (doubt !== null) run.doubts.push(doubt);
  const unsigned = purges.flatMap((purge) => judgePurge(purge, stream.stream, run));
  // Also where no record is left: a stream that was emptied keeps its name.
  knownCheck ??= beginKnown(stream.stream, known, purges.at(-1)?.size ?? 0, purges);
  const isToEnd = (window?.end ?? null) === null;
  const said = knownCheck?.conclude(isToEnd ? { segment: TABLE, line: run.records + 1 } : null);
  if (said !== undefined) run.covers.set(stream.stream, said.cover);
  for (const finding of [...findings, ...unsigned, ...(said?.findings ?? [])])
    run.examination.report(finding);
  for (const note of notes) run.examination.note(note);
  return places;
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
