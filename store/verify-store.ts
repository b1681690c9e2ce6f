/**
 * Verification of the store of record: every record that the login may see, in one snapshot, judged
 * as a ledger is (ledger/examination.ts) and hashed with @noble/hashes. Besides the chains it checks
 * that the columns which queries go by say what the events say, and that each event is shown once: a
 * row whose `outcome` or `duplicate` was edited keeps its hash, and yet every answer is wrong.
 */
import type { ClientBase } from 'pg';
import type { Verification } from '../ledger/examination.ts';
import { createKnownCheck, knownSizes, type Known } from '../ledger/verify/known.ts';
import type { TimeRange } from '../ledger/verify/segments.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { createConnection } from './connection.ts';
import { classifyDatabaseError } from './database-error.ts';
import {
  findMiscounted,
  findReceived,
  findReused,
  listStreams,
  measureStreams,
  type Stream,
} from './verify-queries.ts';
import { findEditedPayloads } from './verify-payload.ts';
import { readPurges, type Window } from './verify-places.ts';
import {
  openReaders,
  startReaders,
  verifyInRanges,
  type MeasuredStream,
  type RangeReaders,
} from './verify-ranges.ts';
import {
  beginRun,
  doubtPurges,
  expectRecorded,
  reportStray,
  TABLE,
  verifyStream,
  type Run,
} from './verify-stream.ts';

export interface VerifyStoreOptions {
  /** Connection URL of an auditor, or of any role that may read: it verifies what it may see. */
  readonly url: string;
  readonly tls?: TlsClientConfig;
  /** Name of the one stream to verify; default all. */
  readonly stream?: string;
  /** Records that the agent received in a time are read whole, of those around them the hashes; default all are. */
  readonly range?: TimeRange;
  /** What is known of the streams from elsewhere; default nothing. */
  readonly known?: Known | null;
  /** Connections that read ranges side by side; default 0: row by row, over one. */
  readonly connections?: number;
  /** Whether each has a thread of its own, which takes the compiled program; default false. */
  readonly isThreaded?: boolean;
  /** Of a range; default 8,192. */
  readonly rangeRecords?: number;
  /** Called once a batch. */
  readonly onProgress?: (recordsDone: number, recordsTotal: number) => void;
}

/** Counting a large store takes its time. */
const STATEMENT_TIMEOUT_MS = 3_600_000;
/** Below this a thread takes longer to start than to be of use. */
const THREADED_RECORDS_MIN = 20_000;

/** Verifies the store. In a finding `segment` is the table and `line` the row in the order of reading. */
export async function verifyStore(options: VerifyStoreOptions): Promise<Verification> {
  const connection = createConnection({
    url: options.url,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    timeoutMs: STATEMENT_TIMEOUT_MS,
    applicationName: 'sealtrail verify',
  });
  const run = beginRun(options.known ?? null);
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
  options: VerifyStoreOptions,
  run: Run,
): Promise<string | null> {
  const { stream: only, range, onProgress } = options;
  const all = await listStreams(client, only);
  const extents = await measureStreams(client, only === undefined ? null : all);
  const total = [...extents.values()].reduce((sum, { rows }) => sum + rows, 0);
  if (total === 0) {
    // Of an empty store what was signed still says what is missing.
    if (run.known !== null) concludeKnown(run.known, only ?? null, run);
    return only === undefined
      ? 'the store holds no record that this login may see'
      : `the store holds no record of stream ${only} that this login may see`;
  }
  const received = range === undefined ? null : await findReceived(client, range);
  const isOfTime = ({ stream_id }: Stream): boolean => {
    const between = received?.get(stream_id);
    return received === null || (between !== undefined && between.from < between.to);
  };
  if (!all.some(isOfTime)) return 'no record that this login may see was received in that time';
  run.miscounted = await findMiscounted(client, range);
  for (const { stream, seq } of await findReused(client, range))
    run.examination.note(
      `the record of stream ${stream} seq ${seq} carries the id of another event, so no query shows it: read it in audit.sealed_records`,
    );
  const purges = await readPurges(client, run.examination.note);
  expectRecorded(
    all.flatMap(({ stream }) => purges.get(stream) ?? []),
    run,
  );
  // Also those of which nothing is shown to be of that time: it may have been cut off, or filed under another.
  const readings = all.map((stream): MeasuredStream => {
    const between = received?.get(stream.stream_id);
    if (between !== undefined) noteWindow(stream, between, run);
    return {
      ...{ stream, extent: extents.get(stream.stream_id) },
      ...{ purges: purges.get(stream.stream) ?? [] },
      known: run.known?.streams.get(stream.stream),
      ...(between === undefined ? {} : { window: withNeighbours(between) }),
    };
  });
  const settle = (stream: Stream, places: number): void => {
    if (places === 0 && !purges.has(stream.stream))
      run.examination.note(`stream ${stream.stream} is known, but has no record`);
  };
  const progress = (): void => onProgress?.(run.records, total);
  if ((options.connections ?? 0) === 0)
    for (const reading of readings)
      settle(reading.stream, await verifyStream(client, { ...reading, onProgress: progress }, run));
  else {
    const readers = await beginReaders(client, options, run.known, total);
    const { rangeRecords } = options;
    const settings = { client, readers, rangeRecords, onProgress: progress, onStream: settle };
    try {
      await verifyInRanges(readings, run, settings);
    } finally {
      await readers.close();
    }
  }
  await reportPayloads(client, options, run);
  reportStray(run, only === undefined ? null : new Set(all.map(({ stream }) => stream)));
  run.doubts.push(
    ...doubtPurges(
      readings.flatMap((reading) => reading.purges),
      run,
    ),
  );
  if (run.known !== null) concludeKnown(run.known, only ?? null, run);
  const readable = all.reduce(
    (sum, { stream_id }) => sum + (extents.get(stream_id)?.records ?? 0),
    0,
  );
  if (total > readable) {
    const message = `${total - readable} rows belong to no stream of audit.streams: its row was removed, or they were put there by hand`;
    const place = { segment: TABLE, line: run.records + 1 };
    run.examination.report({ kind: 'malformed', stream: '', seq: -1, ...place, message });
  }
  return run.doubts.length === 0 ? null : run.doubts.join('; ');
}

async function reportPayloads(
  client: ClientBase,
  { stream, range }: VerifyStoreOptions,
  { examination, records, doubts }: Run,
): Promise<void> {
  const edited = await findEditedPayloads(client, { stream, range });
  // It may be one of which the hashes alone are read.
  if (edited === null)
    doubts.push('column payload could be compared with no event, since some event is no JSON');
  for (const where of edited ?? []) {
    const place = { ...where, segment: TABLE, line: records + 1, column: 'payload' };
    const message = 'column payload says something else than the event';
    examination.report({ kind: 'column_differs', ...place, message });
  }
}

async function beginReaders(
  client: ClientBase,
  { url, tls, connections = 0, isThreaded = false }: VerifyStoreOptions,
  known: Known | null,
  total: number,
): Promise<RangeReaders> {
  const { rows } = await client.query<{ snapshot: string }>(
    'SELECT pg_export_snapshot() AS snapshot',
  );
  const reading = {
    ...{ url, tls, snapshot: rows[0]?.snapshot ?? '' },
    known: known === null ? null : knownSizes(known),
  };
  const isWorthIt = isThreaded && total >= THREADED_RECORDS_MIN;
  return isWorthIt ? startReaders(connections, reading) : openReaders(connections, reading);
}

interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/** Each shows by itself that it was received at another time. */
function withNeighbours({ from, to }: SeqRange): Window {
  return { from: Math.max(0, from - 1), to: to + 1, end: null };
}

function noteWindow({ stream }: Stream, { from, to }: SeqRange, { examination }: Run): void {
  if (from === to) return;
  examination.note(
    `of ${stream} records ${from} to ${to - 1} were read whole, of those around them the hashes alone`,
  );
}

/** What is known of streams that are not there, and of the checkpoints themselves. */
function concludeKnown(
  known: Known,
  /** The one stream that was asked for; null: all were. */
  only: string | null,
  { examination, records, covers }: Run,
): void {
  for (const finding of known.findings) examination.report(finding);
  for (const note of known.notes) examination.note(note);
  for (const [stream, said] of known.streams) {
    if (covers.has(stream) || (only !== null && stream !== only)) continue;
    const { findings } = createKnownCheck(stream, said).conclude({
      segment: TABLE,
      line: records + 1,
    });
    for (const finding of findings) examination.report(finding);
  }
}
