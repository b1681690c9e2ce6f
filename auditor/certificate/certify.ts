/**
 * Makes the certificate of an answer, in the snapshot that the caller has begun: the records of the answer by
 * themselves, and of each stream of the tenant all records of the question's time, read whole, with a neighbour on
 * either side, and the hashes from the stream's beginning up to the checkpoint that covers them. The store's own
 * verifier judges them (store/verify-stream.ts); here it is only decided what to read, and said what came of it.
 */
import type { ClientBase } from 'pg';
import { createExamination } from '../../ledger/examination.ts';
import { formatRecord } from '../../ledger/frame.ts';
import { EMPTY_RANGE } from '../../ledger/merkle/range.ts';
import type { SeenPurge } from '../../ledger/purge-check.ts';
import type { Trust } from '../../ledger/trust.ts';
import type { Known } from '../../ledger/verify/known.ts';
import { chainHash } from '../../schemas/brand.ts';
import { classifyDatabaseError } from '../../store/database-error.ts';
import type { SealedRow } from '../../store/sealed-row.ts';
import { readPurges } from '../../store/verify-places.ts';
import { findMiscounted, findReused, type Stream } from '../../store/verify-queries.ts';
import { verifyStream, type PlaceHashes, type Run } from '../../store/verify-stream.ts';
import type { AnswerRow, Asked, Statement } from '../answer.ts';
import type { Certificate, StreamProof } from './certificate.ts';
import { concludeCertificate, describeStream } from './conclude.ts';
import { planStream, type PlannedPurges, type StreamPlan } from './plan.ts';
import { findReceived, readExtent, readOccurred, spanOf, type SeqRange } from './range.ts';
import { gatherRows, type GatheredRows, type PlacedRow } from './rows.ts';
import { readStoredKnown } from './stored-known.ts';
import { growTree, type TreeParts } from './tree.ts';

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
  const gathering = gatherRows();
  for await (const row of options.rows) {
    const line = gathering.take(row);
    options.onRow?.(row, line);
  }
  const rows = gathering.conclude();
  const run: Run = {
    examination: createExamination(),
    miscounted: new Map(),
    known: null,
    covers: new Map(),
    doubts: [],
    records: 0,
    bytes: 0,
  };
  const proofs: StreamProof[] = [];
  const read: Reading = { login: '', known: options.known, expected: new Set() };
  let obstacle: string | null = null;
  try {
    await readStreams(options, rows, run, proofs, read);
    if (run.doubts.length > 0) obstacle = run.doubts.join('; ');
  } catch (error) {
    obstacle = `the store cannot be read: ${classifyDatabaseError(error).message}`;
  }
  const covered = read.known === null ? null : { ...read.known, covers: run.covers };
  const size = { records: run.records, segments: 0, bytes: run.bytes, gaps: [] };
  const verification = run.examination.conclude(size, obstacle, covered);
  return concludeCertificate({ ...options, ...read, rows, verification, proofs, obstacle });
}

/** What is known once the store is read. */
interface Reading {
  login: string;
  known: Known | null;
  /** Streams that are there. */
  expected: ReadonlySet<string>;
}

async function readStreams(
  options: CertifyOptions,
  rows: GatheredRows,
  started: Run,
  proofs: StreamProof[],
  read: Reading,
): Promise<void> {
  const { client, asked, trust } = options;
  const { tenant } = asked;
  read.login = await readLogin(client);
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
  const occurred = await readOccurred(client, asked);
  reportForeign(occurred, streams, run);
  for (const stream of streams) {
    const placed = rows.byStream.get(stream.stream) ?? [];
    const of = purges.get(stream.stream) ?? [];
    const recorded = recordedIn(stream, purges);
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
    proofs.push(
      await readStream(options, { stream, purges: of, plan, placed }, proofs.length, run),
    );
  }
  reportVanished(stored, read.expected, run);
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
  const shown = placed.map(({ seq }) => ({ from: seq, to: seq + 1 }));
  const happened = occurred.get(stream_id);
  const range = spanOf(received, [...shown, ...(happened === undefined ? [] : [happened])]);
  return planStream(range, extent, known?.streams.get(stream), { of, recorded });
}

/** What the question touches of a stream. */
interface Touched extends PlannedPurges {
  readonly asked: Asked;
  readonly occurred: ReadonlyMap<number, SeqRange>;
  readonly placed: readonly PlacedRow[];
}

/** Where the records of purges stand in a stream. */
function recordedIn(
  { stream }: Stream,
  purges: ReadonlyMap<string, readonly SeenPurge[]>,
): readonly number[] {
  const all = [...purges.values()].flat().map(({ record }) => record);
  return all.filter((record) => record.stream === stream).map(({ seq }) => seq);
}

interface StreamTask {
  readonly stream: Stream;
  readonly purges: readonly SeenPurge[];
  readonly plan: StreamPlan;
  readonly placed: readonly PlacedRow[];
}

async function readStream(
  { client, onHash, onProgress }: CertifyOptions,
  { stream, purges, plan, placed }: StreamTask,
  index: number,
  run: Run,
): Promise<StreamProof> {
  const { range, window, known, checkpoint } = plan;
  let tree: TreeParts | null = null;
  let before: string | null = null;
  let after: string | null = null;
  let next = 0;

  function begin({ seq }: PlaceHashes): TreeParts {
    return growTree({
      first: window.from,
      last: window.to,
      size: checkpoint === null ? null : Number(checkpoint.size),
      base: purges.find(({ base }) => base > 0 && base === seq)?.base_range ?? EMPTY_RANGE,
      ...(onHash === undefined ? {} : { onHash: (line: string) => onHash(index, line) }),
    });
  }

  function onPlace(place: PlaceHashes, row: SealedRow | null): void {
    const { seq, this_hash } = place;
    tree ??= begin(place);
    tree.take(seq, this_hash);
    if (row !== null && seq < range.from) before = lineOf(row);
    if (row !== null && seq >= range.to) after = lineOf(row);
    for (; placed[next] !== undefined && (placed[next]?.seq ?? 0) <= seq; next += 1)
      if (placed[next]?.seq !== seq || placed[next]?.this_hash !== this_hash)
        reportOther(stream.stream, placed[next], run);
  }

  const reading = { stream, purges, known, window, onPlace };
  await verifyStream(client, { ...reading, onProgress: () => onProgress?.(run.records) }, run);
  for (; next < placed.length; next += 1) reportOther(stream.stream, placed[next], run);
  const grown: TreeParts = tree ?? begin({ seq: 0, prev_hash: ZERO, this_hash: ZERO });
  const { stream: name } = stream;
  return describeStream({
    ...{ stream: name, ...range, first: window.from, last: window.to, before, after },
    ...{ grown: grown.conclude(), checkpoint, cover: run.covers.get(name) ?? null },
  });
}

const ZERO = chainHash('0'.repeat(64));

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

/** The statement gave a record that is not the one which stands there. */
function reportOther(stream: string, placed: PlacedRow | undefined, run: Run): void {
  if (placed === undefined) return;
  const message = 'the answer shows another record than the one that stands here';
  const place = { segment: 'answer', line: placed.row };
  run.examination.report({ kind: 'inserted', stream, seq: placed.seq, ...place, message });
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

function lineOf({ event_bytes, prev_hash, this_hash }: SealedRow): string {
  return formatRecord(event_bytes, chainHash(prev_hash), chainHash(this_hash)).slice(0, -1);
}
