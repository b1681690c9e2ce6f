/**
 * Makes the certificate of an answer, in the snapshot that the caller has begun: the records of the answer by
 * themselves, and of each stream of the tenant all records of the question's time, read whole, with a neighbour on
 * either side, and the hashes from the stream's beginning up to the checkpoint that covers them. The store's own
 * verifier judges them (store/verify-stream.ts), and the answer is held against them (answer-check.ts); here it is only
 * decided what to read, and said what came of it.
 */
import type { ClientBase } from 'pg';
import type { Trust } from '../../ledger/trust.ts';
import type { Known } from '../../ledger/verify/known.ts';
import { classifyDatabaseError } from '../../store/database-error.ts';
import { readPurges, type StoredPurge } from '../../store/verify-places.ts';
import { findMiscounted, findReused, type Stream } from '../../store/verify-queries.ts';
import {
  beginRun,
  doubtPurges,
  expectRecorded,
  reportStray,
  verifyStream,
  type Run,
} from '../../store/verify-stream.ts';
import type { AnswerRow, Asked, Statement } from '../answer.ts';
import { createAnswerCheck, NO_CHECK, UNCHECKED, type AnswerCheck } from './answer-check.ts';
import type { Certificate } from './certificate.ts';
import { findClockDoubt } from './clock-rules.ts';
import { concludeCertificate } from './conclude.ts';
import { findOriginals, lookBeyond } from './originals.ts';
import { planStream, type PlannedPurges, type StreamPlan } from './plan.ts';
import {
  findReceived,
  readExtent,
  readOccurred,
  spanOf,
  toNextWhole,
  type SeqRange,
} from './range.ts';
import { readStream, type StreamRead, type StreamTask } from './read-stream.ts';
import type { Originals } from './repetitions.ts';
import { gatherRows, type GatheredRows, type PlacedRow } from './rows.ts';
import { readStoredKnown } from './stored-known.ts';

export interface CertifyOptions {
  /** In a snapshot: BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY. */
  readonly client: ClientBase;
  readonly asked: Asked;
  readonly statement: Statement;
  readonly rows: Iterable<AnswerRow> | AsyncIterable<AnswerRow>;
  /** What is known of the streams from elsewhere; null: what the store keeps of checkpoints, judged by `trust`. */
  readonly known: Known | null;
  readonly trust: Trust | null;
  /** Name and version of the program. */
  readonly verifier: string;
  /** Takes each row of the answer, and its line. */
  readonly onRow?: (row: AnswerRow, line: string) => void;
  /** Takes the list of hashes of each stream, as it grows; `index` counts the streams. */
  readonly onHash?: (index: number, line: string) => void;
  /** Called once a batch. */
  readonly onProgress?: (recordsRead: number) => void;
}

/** Certifies; never rejects for what the database does: then nothing can be told, and the certificate says so. */
export async function certify(options: CertifyOptions): Promise<Certificate> {
  const gathering = gatherRows(options.asked);
  for await (const row of options.rows) {
    const line = gathering.take(row);
    options.onRow?.(row, line);
  }
  let rows = gathering.conclude();
  const run = beginRun(null);
  const read: Reading = { login: '', known: options.known, expected: new Set(), streams: [] };
  let checked = UNCHECKED;
  let obstacle: string | null = null;
  const { client, asked } = options;
  try {
    read.login = await readLogin(client);
    const originals = await findOriginals(client, asked);
    const clock = await findClockDoubt(client, asked);
    // What rows and records say by the clock cannot be compared then.
    if (clock !== null) rows = { ...rows, faults: [] };
    if (clock !== null) run.doubts.push(clock);
    const answer = clock === null ? createAnswerCheck(asked, originals) : NO_CHECK;
    await readStreams(options, { rows, answer, originals }, run, read);
    checked = await answer.conclude(rows, lookBeyond(client, asked));
    if (checked.isTooMuch) run.doubts.push(TOO_MUCH);
    if (checked.unsigned !== null && read.known?.isJudged === true)
      run.doubts.push(describeUnsigned(checked.unsigned));
    if (run.doubts.length > 0) obstacle = run.doubts.join('; ');
  } catch (error) {
    obstacle = `the store cannot be read: ${classifyDatabaseError(error).message}`;
  }
  const covered = read.known === null ? null : { ...read.known, covers: run.covers };
  const size = { records: run.records, segments: 0, bytes: run.bytes, gaps: [] };
  const verification = run.examination.conclude(size, obstacle, covered);
  return concludeCertificate({ ...options, ...read, rows, checked, verification, obstacle });
}

/** What is known once the store is read. */
interface Reading {
  login: string;
  known: Known | null;
  /** Streams that are there. */
  expected: ReadonlySet<string>;
  /** Of each that has a record. */
  readonly streams: StreamRead[];
}

/** What is held against the records. */
interface Answer {
  readonly rows: GatheredRows;
  readonly answer: AnswerCheck;
  readonly originals: Originals;
}

async function readStreams(
  { client, asked, trust, onHash, onProgress }: CertifyOptions,
  { rows, answer, originals }: Answer,
  started: Run,
  read: Reading,
): Promise<void> {
  const { tenant } = asked;
  const stored = await readStoredKnown(client, tenant, trust);
  read.known ??= stored;
  const run: Run = Object.assign(started, { known: read.known });
  const streams = await listStreams(client, tenant);
  read.expected = new Set(streams.map(({ stream }) => stream));
  run.miscounted = await findMiscounted(client, asked);
  for (const { stream, seq } of await findReused(client, asked))
    run.examination.note(
      `the record of stream ${stream} seq ${seq} carries the id of another event, so no query shows it: read it in audit.sealed_records`,
    );
  const purges = await readPurges(client);
  expectRecorded(
    streams.flatMap(({ stream }) => purges.get(stream) ?? []),
    run,
  );
  const occurred = await readOccurred(client, asked);
  reportForeign(occurred, streams, run);
  for (const stream of streams) {
    const placed = rows.byStream.get(stream.stream) ?? [];
    const of = purges.get(stream.stream) ?? [];
    const recorded = excusingIn(stream, purges, originals);
    const plan = await planOf(
      client,
      stream,
      { asked, occurred, placed, of, recorded },
      read.known,
    );
    if (plan === null) {
      // Only what was signed can show that a stream without a record should have some.
      const known = read.known?.streams.get(stream.stream);
      await verifyStream(client, { stream, purges: of, known }, run);
      continue;
    }
    const index = read.streams.length;
    const task: StreamTask = {
      ...{ asked, trust, stream, purges: of, plan, placed, answer },
      ...(onHash && { onHash: (line) => onHash(index, line) }),
      ...(onProgress && { onProgress: () => onProgress(run.records) }),
    };
    read.streams.push(await readStream(client, task, run));
  }
  reportVanished(stored, read.expected, run);
  reportStray(run);
  run.doubts.push(...doubtsOf(streams, purges, read, run));
}

async function planOf(
  client: ClientBase,
  { stream_id, stream }: Stream,
  { asked, occurred, placed, of, recorded }: Touched,
  known: Known | null,
): Promise<StreamPlan | null> {
  const extent = await readExtent(client, stream_id);
  if (extent === null) return null;
  const received = await findReceived(client, stream_id, extent, asked);
  const [first, last] = [placed[0], placed.at(-1)];
  const shown = first && last && { from: first.seq, to: last.seq + 1 };
  const touched = [shown, occurred.get(stream_id)].filter((one) => one !== undefined);
  const range = await toNextWhole(client, stream_id, extent, spanOf(received, touched));
  return planStream(range, extent, known?.streams.get(stream), { of, recorded });
}

/** What the question touches of a stream; the rows ascend. */
interface Touched extends PlannedPurges {
  readonly asked: Asked;
  readonly occurred: ReadonlyMap<number, SeqRange>;
  readonly placed: readonly PlacedRow[];
}

/** Where records stand in a stream that excuse others: those of purges, and those that repetitions repeat. */
function excusingIn(
  { stream, stream_id }: Stream,
  purges: ReadonlyMap<string, readonly StoredPurge[]>,
  originals: Originals,
): readonly number[] {
  const recorded = [...purges.values()].flat().map(({ record }) => record);
  const shown = [...(originals?.values() ?? [])].filter(({ streamId }) => streamId === stream_id);
  return [...recorded.filter((record) => record.stream === stream), ...shown].map(({ seq }) => seq);
}

/** What rests on records that no trusted key has signed, and should by now. */
function doubtsOf(
  streams: readonly Stream[],
  purges: ReadonlyMap<string, readonly StoredPurge[]>,
  { known, streams: done }: Reading,
  run: Run,
): readonly string[] {
  if (known?.isJudged !== true) return [];
  return [
    ...doubtPurges(
      streams.flatMap(({ stream }) => purges.get(stream) ?? []),
      run,
    ),
    // NaN: a record does not say when it was received.
    ...done.filter(({ bareMs }) => !(bareMs <= BARE_MS_MAX)).map(describeBare),
  ];
}

function describeUnsigned({
  stream,
  seq,
}: {
  readonly stream: string;
  readonly seq: number;
}): string {
  return `record ${seq} of ${stream} is in no answer, since its event is said to repeat another act, and the record of that one is under no checkpoint that a trusted key has signed`;
}

/** The agent's checkpoints come once a minute, as soon as their records are there. */
const BARE_MS_MAX = 600_000;

const TOO_MUCH =
  'there is more than the answer can be held against at once: ask about a shorter time';

function describeBare({ proof: { stream, tree } }: StreamRead): string {
  return `records of more than ten minutes, or that tell of what happened earlier, from seq ${tree?.size ?? 0} of ${stream} on, are under no checkpoint that a trusted key has signed: the checkpoints over them have not come yet, or were removed`;
}

/** Rows under the tenant in a stream that is none of its own: no chain has them, and questions would count them. */
function reportForeign(
  occurred: ReadonlyMap<number, SeqRange>,
  streams: readonly Stream[],
  run: Run,
): void {
  const own = new Set(streams.map(({ stream_id }) => stream_id));
  for (const [id, { from }] of occurred) {
    if (own.has(id)) continue;
    const message = 'the record is filed under the tenant, in a stream that is none of its own';
    const place = { segment: 'audit.records', line: 1 };
    run.examination.report({ kind: 'inserted', stream: `#${id}`, seq: from, ...place, message });
  }
}

/** Streams of which the store keeps signed checkpoints and nothing else. */
function reportVanished(stored: Known | null, there: ReadonlySet<string>, run: Run): void {
  for (const finding of run.known?.findings ?? []) run.examination.report(finding);
  for (const [stream, { checkpoints }] of stored?.streams ?? []) {
    if (there.has(stream) || checkpoints.length === 0) continue;
    const message =
      'checkpoints of this stream were signed, and the store does not know it any more';
    const place = { segment: 'audit.streams', line: 1 };
    run.examination.report({ kind: 'truncated', stream, seq: 0, ...place, message });
  }
}

async function listStreams(client: ClientBase, tenant: string): Promise<readonly Stream[]> {
  const { rows } = await client.query<Stream>(
    'SELECT stream_id, stream, tenant_id FROM audit.streams WHERE tenant_id = $1 ORDER BY stream',
    [tenant],
  );
  return rows;
}

async function readLogin(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ login: string }>('SELECT session_user AS login');
  return rows[0]?.login ?? '';
}
