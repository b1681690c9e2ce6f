/**
 * `npm run bench -- verify`, its second half: a store of a million records verified row by row over one connection, and by
 * ranges over one and several, in this thread and in threads. PostgreSQL runs on the same cores.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createFeed } from '../agent/deliver/feed.ts';
import { createPostgresqlSink } from '../agent/deliver/sinks/postgresql.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { startEmbeddedPostgres } from '../store/embedded.ts';
import { createPostgresStore } from '../store/postgres.ts';
import { verifyStore } from '../store/verify-store.ts';
import { fillLedger } from './sealed-ledger.ts';
import { treeCpuSeconds } from './statistics.ts';

export interface VerifyStoreRow {
  readonly what: string;
  readonly records_s: number;
  /** CPU of this process per record, microseconds. */
  readonly cpu_us: number;
  /** CPU of all of PostgreSQL per record, microseconds. */
  readonly database_cpu_us: number;
}

const RECORDS = 1_000_000;
const BATCH = { recordsMax: 4_000, bytesMax: 4 * 1024 * 1024 };

/** Measures; each row once over all of the store, after one that warms up. */
export async function runVerifyStore(
  say: (line: string) => void,
): Promise<readonly VerifyStoreRow[]> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-bench-'));
  try {
    const ledger = join(dir, 'ledger');
    const records = await fillLedger(ledger, RECORDS);
    await mkdir(join(dir, 'postgresql'));
    const started = await startEmbeddedPostgres({
      dir: join(dir, 'postgresql', 'data'),
      port: 0,
      passwordFile: join(dir, 'postgresql', 'passwords.json'),
    });
    if (!started.ok) throw new Error(started.error.message);
    const { writerUrl, ownerUrl, adminUrl, auditorUrl, pid } = started.value;
    try {
      await fillStore(ledger, records, { url: writerUrl, ownerUrl });
      await settle(adminUrl);
      const rows: VerifyStoreRow[] = [];
      const measure = async (what: string, connections: number, isThreaded: boolean) => {
        const database = treeCpuSeconds(pid);
        const cpu = process.cpuUsage();
        const begun = performance.now();
        const found = await verifyStore({ url: auditorUrl, connections, isThreaded });
        const seconds = (performance.now() - begun) / 1000;
        if (found.verdict !== 'intact') throw new Error(`the store is ${found.verdict}`);
        const { user, system } = process.cpuUsage(cpu);
        return {
          what,
          records_s: Math.round(found.records / seconds),
          cpu_us: Number(((user + system) / found.records).toFixed(2)),
          database_cpu_us: Number(
            (((treeCpuSeconds(pid) - database) / found.records) * 1e6).toFixed(2),
          ),
        };
      };
      const cores = availableParallelism();
      await measure('warm up', 1, false);
      for (const [what, connections, isThreaded] of [
        ['store, row by row, one connection', 0, false],
        ['store, ranges, one connection, this thread', 1, false],
        [`store, ranges, ${cores} connections with a thread each`, cores, true],
      ] as const) {
        const row = await measure(what, connections, isThreaded);
        rows.push(row);
        say(
          `${what.padEnd(50)} ${row.records_s} records/s  ${row.cpu_us} us/rec  database ${row.database_cpu_us} us/rec`,
        );
      }
      return rows;
    } finally {
      await started.value.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function fillStore(
  ledger: string,
  records: number,
  options: Parameters<typeof createPostgresStore>[0],
): Promise<void> {
  const sink = createPostgresqlSink('postgresql', createPostgresStore(options), { migrates: true });
  const feed = createFeed({ dir: ledger, filesystem: nodeFilesystem, from: 0, ...BATCH });
  try {
    for (let done = 0; done < records;) {
      const read = await feed.read(records);
      if (!read.ok) throw new Error(read.error);
      const result = await sink.deliver(read.value, new AbortController().signal);
      if (result.kind !== 'delivered') throw new Error(`the store: ${result.reason}`);
      done += read.value.length;
    }
  } finally {
    await feed.close();
    await sink.close();
  }
}

/** A store as it is some minutes later: its rows are known to be visible, and the planner knows them. */
async function settle(adminUrl: string): Promise<void> {
  const admin = new pg.Client(adminUrl);
  await admin.connect();
  await admin.query('VACUUM (ANALYZE)');
  await admin.query('CHECKPOINT');
  await admin.end();
}
