/**
 * Verification of the store of record: every record that the login may see, in one snapshot, judged
 * as a ledger is (ledger/examination.ts) and hashed with @noble/hashes. Besides the chains it checks
 * that the columns which queries go by say what the events say, and that each event is shown once: a
 * row whose `outcome` or `duplicate` was edited keeps its hash, and yet every answer is wrong.
 */
import type { ClientBase } from 'pg';
import { createExamination, type Verification } from '../ledger/examination.ts';
import { createKnownCheck, type Known } from '../ledger/verify/known.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { createConnection } from './connection.ts';
import { classifyDatabaseError } from './database-error.ts';
import { countRecords, findMiscounted, findReused, listStreams } from './verify-queries.ts';
import { readPurges } from './verify-places.ts';
import { TABLE, verifyStream, type Run } from './verify-stream.ts';

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

/** Counting a large store takes its time. */
const STATEMENT_TIMEOUT_MS = 3_600_000;

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
    const places = await verifyStream(
      client,
      {
        stream,
        purges: purges.get(stream.stream) ?? [],
        known: run.known?.streams.get(stream.stream),
        onProgress: () => onProgress?.(run.records, total),
      },
      run,
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
