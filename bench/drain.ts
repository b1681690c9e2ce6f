/**
 * `npm run bench -- drain`: how fast what lies in the ledger leaves it. Records are read from a real
 * ledger through delivery's own feed (hash checked, next batch read ahead) and handed to the real
 * sinks, one batch after the other, as delivery does; the mappings are measured alone, too.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { documentFormat } from '../agent/deliver/documents.ts';
import { createFeed, type Feed } from '../agent/deliver/feed.ts';
import { createFileSink } from '../agent/deliver/sinks/file.ts';
import { createPostgresqlSink } from '../agent/deliver/sinks/postgresql.ts';
import type { DeliveryRecord, Sink } from '../agent/ports.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { parseVocabulary, type Vocabulary } from '../schemas/vocabulary.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../store/embedded.ts';
import { createPostgresStore } from '../store/postgres.ts';
import { fillLedger } from './sealed-ledger.ts';
import { treeCpuSeconds } from './statistics.ts';
import { benchVocabulary } from './vocabulary.ts';

export interface DrainRow {
  readonly target: string;
  readonly records: number;
  readonly recordsPerSecond: number;
  /** Of event text, as it stands in the ledger. */
  readonly megabytesPerSecond: number;
  /** CPU of this process per record, microseconds: reading, mapping, sending. */
  readonly cpuUs: number;
  /** CPU of all of PostgreSQL per record, microseconds. */
  readonly databaseCpuUs: number | null;
}

/** Defaults of the exporters. */
const BATCH_RECORDS = 4_000;
const BATCH_BYTES = 4 * 1024 * 1024;
/** Records drained before the clock runs: what is measured is compiled code and open files. */
const WARM_UP_RECORDS = 24_000;
/** The ledger holds a row's worth at this rate; a faster sink ends its row early. */
const RECORDS_PER_SECOND = 80_000;
const FORMATS = ['ecs', 'ocsf'] as const;

/** Runs the benchmark; `seconds` per row. */
export async function runDrain(seconds: number, say: (line: string) => void): Promise<DrainRow[]> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-bench-'));
  const ledger = join(dir, 'ledger');
  const rows: DrainRow[] = [];
  const done = (row: DrainRow): void => {
    rows.push(row);
    say(formatRow(row));
  };
  try {
    const wanted = WARM_UP_RECORDS + Math.ceil(seconds * RECORDS_PER_SECOND);
    const drain: Drain = { ledger, records: await fillLedger(ledger, wanted), seconds };
    say(HEADER);
    done(await drainToPostgresql(drain, join(dir, 'postgresql')));
    const vocabulary = vocabularyOf(benchVocabulary);
    for (const name of FORMATS) {
      const format = documentFormat(name, vocabulary, { name: 'bench', version: '0' });
      done(await mapAlone(`${name} mapping`, drain, format));
      const path = join(dir, `${name}.ndjson`);
      const sink = createFileSink({ name: `file/${name}`, path, format, log: SILENT });
      await sink.place?.restore(null);
      done(await drainTo(sink, drain));
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return rows;
}

interface Drain {
  readonly ledger: string;
  /** Records in the ledger. */
  readonly records: number;
  readonly seconds: number;
}

const SILENT = { info: () => undefined, warn: () => undefined };

async function drainToPostgresql(drain: Drain, home: string): Promise<DrainRow> {
  await mkdir(home);
  const started = await startEmbeddedPostgres({
    dir: join(home, 'data'),
    port: 0,
    passwordFile: join(home, 'passwords.json'),
  });
  if (!started.ok) throw new Error(started.error.message);
  const { writerUrl: url, ownerUrl, adminUrl } = started.value;
  const store = createPostgresStore({ url, ownerUrl });
  try {
    await ageLog(adminUrl);
    const sink = createPostgresqlSink('postgresql', store, { migrates: true });
    return await drainTo(sink, drain, started.value);
  } finally {
    await started.value.stop();
  }
}

/**
 * A new server writes each segment of its log twice, first with zeros; from the first checkpoint on it
 * uses old ones again. Some 300 MB of log and a checkpoint make it a server that has run for a while.
 */
async function ageLog(adminUrl: string): Promise<void> {
  const admin = new pg.Client(adminUrl);
  await admin.connect();
  await admin.query(
    `CREATE TABLE bench_log AS SELECT repeat('x', 1000) FROM generate_series(1, 300000)`,
  );
  await admin.query('DROP TABLE bench_log');
  await admin.query('CHECKPOINT');
  await admin.end();
}

function openFeed({ ledger }: Drain): Feed {
  return createFeed({
    dir: ledger,
    filesystem: nodeFilesystem,
    from: 0,
    recordsMax: BATCH_RECORDS,
    bytesMax: BATCH_BYTES,
  });
}

/** Drains the ledger to a sink until the time is up or the ledger's end is reached. */
async function drainTo(sink: Sink, drain: Drain, database?: EmbeddedPostgres): Promise<DrainRow> {
  const feed = openFeed(drain);
  const { signal } = new AbortController();

  async function deliverNext(): Promise<readonly DeliveryRecord[]> {
    const read = await feed.read(drain.records);
    if (!read.ok) throw new Error(read.error);
    const result = await sink.deliver(read.value, signal);
    if (result.kind !== 'delivered') throw new Error(`${sink.name}: ${result.reason}`);
    if (result.poison.length + result.retry.length > 0) throw new Error(`${sink.name}: refused`);
    return read.value;
  }

  try {
    let warmUp = 0;
    while (warmUp < WARM_UP_RECORDS) warmUp += (await deliverNext()).length;
    const meter = startMeter(sink.name, drain.seconds, database?.pid);
    let left = drain.records - warmUp;
    while (left > 0 && !meter.isOver()) {
      const batch = await deliverNext();
      meter.count(batch);
      left -= batch.length;
    }
    return meter.stop();
  } finally {
    await feed.close();
    await sink.close();
  }
}

/** Maps one batch again and again: no reading, no parsing, no disk. */
async function mapAlone(
  name: string,
  drain: Drain,
  format: (record: DeliveryRecord) => string,
): Promise<DrainRow> {
  const feed = openFeed(drain);
  const read = await feed.read(drain.records);
  await feed.close();
  if (!read.ok) throw new Error(read.error);
  const batch = read.value;
  for (let records = 0; records < WARM_UP_RECORDS; records += batch.length)
    for (const record of batch) format(record);
  const meter = startMeter(name, drain.seconds);
  while (!meter.isOver()) {
    for (const record of batch) format(record);
    meter.count(batch);
  }
  return meter.stop();
}

interface DrainMeter {
  count(batch: readonly DeliveryRecord[]): void;
  isOver(): boolean;
  stop(): DrainRow;
}

function startMeter(target: string, seconds: number, databasePid?: number): DrainMeter {
  const databaseCpu = (): number => (databasePid === undefined ? 0 : treeCpuSeconds(databasePid));
  let records = 0;
  let characters = 0;
  const databaseBefore = databaseCpu();
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const elapsed = (): number => (performance.now() - startedMs) / 1000;
  return {
    count: (batch) => {
      records += batch.length;
      for (const { eventText } of batch) characters += eventText.length;
    },
    isOver: () => elapsed() >= seconds,
    stop: () => {
      const took = elapsed();
      const { user, system } = process.cpuUsage(cpuBefore);
      return {
        target,
        records,
        recordsPerSecond: records / took,
        megabytesPerSecond: characters / took / 1e6,
        cpuUs: (user + system) / records,
        databaseCpuUs:
          databasePid === undefined ? null : ((databaseCpu() - databaseBefore) / records) * 1e6,
      };
    },
  };
}

function vocabularyOf(value: unknown): Vocabulary {
  const parsed = parseVocabulary(value);
  if (!parsed.ok) throw new Error('the vocabulary of the benchmark is not valid');
  return parsed.value;
}

const HEADER = 'target           records  records/s    MB/s  CPU us/rec  database CPU us/rec';

function formatRow(row: DrainRow): string {
  const database = row.databaseCpuUs === null ? '-' : row.databaseCpuUs.toFixed(1);
  return [
    row.target.padEnd(13),
    String(row.records).padStart(10),
    row.recordsPerSecond.toFixed(0).padStart(10),
    row.megabytesPerSecond.toFixed(1).padStart(7),
    row.cpuUs.toFixed(1).padStart(11),
    database.padStart(20),
  ].join(' ');
}
