/**
 * Verification of the store of record: every record that the login may see, in one snapshot, judged
 * as a ledger is (ledger/examination.ts) and hashed with @noble/hashes. Besides the chains it checks
 * that the columns which queries go by say what the events say, and that each event is shown once: a
 * row whose `outcome` or `duplicate` was edited keeps its hash, and yet every answer is wrong.
 */
import type { ClientBase } from 'pg';
import { createExamination, type Examination, type Verification } from '../ledger/examination.ts';
import { createPurgeCheck, type SeenPurge } from '../ledger/purge-check.ts';
import type { Finding } from '../ledger/stream-check.ts';
import {
  createKnownCheck,
  type Cover,
  type Known,
  type KnownCheck,
  type KnownStream,
} from '../ledger/verify/known.ts';
import { chainHash, isChainHash } from '../schemas/brand.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { createConnection } from './connection.ts';
import { classifyDatabaseError } from './database-error.ts';
import { findDifferences, type SealedRow } from './sealed-row.ts';
import {
  countRecords,
  findMiscounted,
  findReused,
  listStreams,
  type Stream,
} from './verify-queries.ts';
import { readPlaces, readPurges, type StoredPlace, type Stub } from './verify-places.ts';

export interface VerifyStoreOptions {
  /** Connection URL of an auditor, or of any role that may read: it verifies what it may see. */
  readonly url: string;
  readonly tls?: TlsClientConfig;
  /** Name of the one stream to verify; default all. */
  readonly stream?: string;
  /** What is known of the streams from elsewhere; default nothing. */
  readonly known?: Known | null;
  /** Called once a batch. */
  readonly onProgress?: (recordsDone: number, recordsTotal: number) => void;
}

const TABLE = 'audit.records';
const STUBS = 'audit.stubs';
/** Counting a large store takes its time. */
const STATEMENT_TIMEOUT_MS = 3_600_000;

interface Run {
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

/** Verifies the store. In a finding `segment` is the table and `line` the row in the order of reading. */
export async function verifyStore(options: VerifyStoreOptions): Promise<Verification> {
  const connection = createConnection({
    url: options.url,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    timeoutMs: STATEMENT_TIMEOUT_MS,
    applicationName: 'sealtrail verify',
  });
  const run: Run = {
    examination: createExamination(),
    miscounted: new Map(),
    known: options.known ?? null,
    covers: new Map(),
    doubts: [],
    records: 0,
    bytes: 0,
  };
  const conclude = (obstacle: string | null): Verification =>
    run.examination.conclude(
      { ...run, segments: 0, gaps: [] },
      obstacle,
      run.known === null ? null : { ...run.known, covers: run.covers },
    );
  try {
    const client = await connection.client();
    // One snapshot: what delivery adds meanwhile is no gap.
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return conclude(await verifySnapshot(client, options, run));
  } catch (error) {
    return conclude(`the store cannot be read: ${classifyDatabaseError(error).message}`);
  } finally {
    connection.drop();
  }
}

/** Reads all of it into the run; returns why nothing can be told, or null. */
async function verifySnapshot(
  client: ClientBase,
  { stream: only, onProgress }: VerifyStoreOptions,
  run: Run,
): Promise<string | null> {
  const streams = await listStreams(client, only);
  const total = await countRecords(client, only === undefined ? null : streams);
  if (total === 0) {
    // Of an empty store what was signed still says what is missing.
    if (run.known !== null) concludeKnown(run.known, only, run);
    return only === undefined
      ? 'the store holds no record that this login may see'
      : `the store holds no record of stream ${only} that this login may see`;
  }
  run.miscounted = await findMiscounted(client);
  for (const { stream, seq } of await findReused(client))
    run.examination.note(
      `the record of stream ${stream} seq ${seq} carries the id of another event, so no query shows it: read it in audit.sealed_records`,
    );
  const purges = await readPurges(client);
  for (const stream of streams) {
    const places = await verifyStream(client, stream, purges.get(stream.stream) ?? [], run, () =>
      onProgress?.(run.records, total),
    );
    if (places === 0 && !purges.has(stream.stream))
      run.examination.note(`stream ${stream.stream} is known, but has no record`);
  }
  if (run.known !== null) concludeKnown(run.known, only, run);
  if (total > run.records) {
    const message = `${total - run.records} rows belong to no stream of audit.streams: its row was removed, or they were put there by hand`;
    const place = { segment: TABLE, line: run.records + 1 };
    run.examination.report({ kind: 'malformed', stream: '', seq: -1, ...place, message });
  }
  return run.doubts.length === 0 ? null : run.doubts.join('; ');
}

/** Reads a stream, from its genesis or from behind what was purged; returns how many places it has. */
async function verifyStream(
  client: ClientBase,
  stream: Stream,
  purges: readonly SeenPurge[],
  run: Run,
  onProgress: () => void,
): Promise<number> {
  const check = createPurgeCheck(stream.stream, purges);
  const known = run.known?.streams.get(stream.stream);
  let knownCheck: KnownCheck | null = null;
  let places = 0;
  for await (const batch of readPlaces(client, stream.stream_id)) {
    for (const one of batch) {
      const { seq, prev_hash, this_hash } = hashesOf(one);
      if (places === 0) {
        const start = check.start({ seq, prev_hash });
        run.examination.begin(stream.stream, start);
        knownCheck = beginKnown(stream.stream, known, start.seq, purges);
      }
      places += 1;
      if (one.kind === 'record') {
        takeRow(one.row, stream, places === 1, run);
        const place = { segment: TABLE, line: run.records };
        check.take(seq, this_hash, place, null);
        knownCheck?.take(seq, this_hash, place);
      } else {
        const place = { segment: STUBS, line: places };
        run.examination.takeStub(stream.stream, seq, one.stub, place);
        check.take(seq, this_hash, place, one.stub.purge);
        knownCheck?.take(seq, this_hash, place);
      }
    }
    onProgress();
  }
  const { findings, notes, doubt } = check.conclude();
  if (doubt !== null) run.doubts.push(doubt);
  const unsigned = purges.flatMap((purge) => judgePurge(purge, stream.stream, run));
  // Also where no record is left: a stream that was emptied keeps its name.
  knownCheck ??= beginKnown(stream.stream, known, purges.at(-1)?.size ?? 0, purges);
  const said = knownCheck?.conclude({ segment: TABLE, line: run.records + 1 });
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

/** What is known of streams that are not there, and of the checkpoints themselves. */
function concludeKnown(
  known: Known,
  only: string | undefined,
  { examination, records, covers }: Run,
): void {
  for (const finding of known.findings) examination.report(finding);
  for (const note of known.notes) examination.note(note);
  for (const [stream, said] of known.streams) {
    if (covers.has(stream) || (only !== undefined && stream !== only)) continue;
    const { findings } = createKnownCheck(stream, said).conclude({
      segment: TABLE,
      line: records + 1,
    });
    for (const finding of findings) examination.report(finding);
  }
}

function hashesOf(one: StoredPlace): Pick<Stub, 'seq' | 'prev_hash' | 'this_hash'> {
  if (one.kind === 'stub') return one.stub;
  const { seq, prev_hash, this_hash } = one.row;
  return { seq: Number(seq), prev_hash: chainHash(prev_hash), this_hash: chainHash(this_hash) };
}

function takeRow(row: SealedRow, stream: Stream, isFirst: boolean, run: Run): void {
  run.records += 1;
  run.bytes += Buffer.byteLength(row.event_bytes);
  const place = { segment: TABLE, line: run.records };
  const where = { stream: stream.stream, seq: Number(row.seq) };
  const { event_bytes: eventText, prev_hash, this_hash } = row;
  const record =
    isChainHash(prev_hash) && isChainHash(this_hash) ? { eventText, prev_hash, this_hash } : null;
  const said = run.examination.take(record, place, where);
  if (said === null) return;
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
}
