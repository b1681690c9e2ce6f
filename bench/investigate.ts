/**
 * `npm run bench -- investigate`: how long the first page of each question takes, over the last month and over the year,
 * asked as an auditor of one tenant; and the memory of a client that streams a million rows.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Asked } from '../auditor/answer.ts';
import { createAuditor, type Auditor } from '../auditor/ask.ts';
import { startEmbeddedPostgres } from '../store/embedded.ts';
import { createPostgresStore } from '../store/postgres.ts';
import { fillStore } from './investigate-data.ts';

export interface InvestigateRow {
  readonly what: string;
  readonly range: 'month' | 'year';
  readonly rows: number;
  readonly first_ms: number;
  readonly median_ms: number;
  readonly worst_ms: number;
}

const ROUNDS = 9;
const STREAM_ROWS = 1_000_000;
const YEAR = { since: '2025-11-01T00:00:00Z', until: '2026-11-01T00:00:00Z' };
const MONTH = { since: '2026-10-01T00:00:00Z', until: YEAR.until };
/** Reads all of its range, as it says; a day is what one asks it about. */
const DAY = { since: '2026-10-12T00:00:00Z', until: '2026-10-13T00:00:00Z' };

/** What each question is asked; those with parameters that must be given, and worse cases of others. */
export const ASKED: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['all-activity', {}],
  ['all-activity', { outcome: 'failure' }],
  ['actor-activity', { actor: 'u-4711' }],
  ['resource-history', { type: 'customer', id: 'c-9' }],
  ['action-occurrences', { action: 'customer.export' }],
  ['impersonations', { actor: 'u_admin_7' }],
  ['access-without-ticket', {}],
  ['access-outside-tickets', { actor: 'u_admin_7' }],
  ['denials-per-hour', {}],
  ['denials-per-hour', { threshold: '1000000' }],
  ['subject-activity', { subject: 'u-4711' }],
  ['off-hours', {}],
  ['off-hours', { actor: 'u-4711', category: '*' }],
  ['first-time-access', { actor: 'u-4711' }],
  ['first-time-access', { actor: 'u-4711', of: 'kind' }],
  ['exports-over-rows', { rows: '99000' }],
  ['producer-gaps', {}],
  ['silences', {}],
];

/** Fills a store, asks, and removes it. */
export async function runInvestigate(
  records: number,
  say: (line: string) => void,
): Promise<readonly InvestigateRow[]> {
  const root = await mkdtemp(join(tmpdir(), 'sealtrail-bench-'));
  await chmod(root, 0o755);
  const server = await startEmbeddedPostgres({ dir: join(root, 'postgres'), port: 0 });
  if (!server.ok) throw new Error(server.error.message);
  try {
    const { writerUrl, ownerUrl, adminUrl } = server.value;
    const store = createPostgresStore({ url: writerUrl, ownerUrl });
    const migrated = await store.migrate();
    if (!migrated.ok) throw new Error(migrated.error.message);
    await store.close();
    await fill(adminUrl, records, say);
    const url = new URL(server.value.auditorUrl);
    [url.username, url.password] = ['alice', 'pw'];
    const auditor = createAuditor({ url: url.href });
    const measured = await measureAll(auditor, say);
    await measureStream(auditor, say);
    auditor.close();
    return measured;
  } finally {
    await server.value.stop();
    await rm(root, { recursive: true, force: true });
  }
}

export async function fill(
  url: string,
  records: number,
  say: (line: string) => void,
): Promise<void> {
  const [admin, ...others] = [new pg.Client(url), new pg.Client(url), new pg.Client(url)];
  for (const one of [admin, ...others]) await one.connect();
  try {
    // It would read what is still being written, over and over; VACUUM follows at the end.
    await admin.query('ALTER SYSTEM SET autovacuum = off');
    await admin.query('SELECT pg_reload_conf()');
    const begun = performance.now();
    const seconds = (): number => Math.round((performance.now() - begun) / 1000);
    const onProgress = (done: number): void => say(`${done} records, ${seconds()} s`);
    await fillStore([admin, ...others], {
      records,
      from: YEAR.since,
      until: YEAR.until,
      onProgress,
    });
    await admin.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor;
      INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme'); CHECKPOINT`);
    const { rows } = await admin.query<{ size: string }>(
      'SELECT pg_size_pretty(pg_database_size(current_database())) AS size',
    );
    say(`filled with ${records} records in ${seconds()} s: ${rows[0]?.size}`);
  } finally {
    for (const one of [admin, ...others]) await one.end();
  }
}

export async function measureAll(
  auditor: Auditor,
  say: (line: string) => void,
): Promise<readonly InvestigateRow[]> {
  const measured: InvestigateRow[] = [];
  for (const [question, parameters] of ASKED) {
    for (const [range, times] of [
      ['month', question === 'producer-gaps' ? DAY : MONTH],
      ['year', question === 'producer-gaps' ? MONTH : YEAR],
    ] as const) {
      const asked = { question, parameters, tenant: 'acme', timeZone: 'Europe/Berlin', ...times };
      const what = `${question} ${new URLSearchParams(parameters).toString()}`.trim();
      const row = { what, range, ...(await measure(auditor, asked)) };
      measured.push(row);
      say(
        `${what.padEnd(56)} ${range.padEnd(6)} ${String(row.rows).padStart(3)} rows  first ${row.first_ms} ms, median ${row.median_ms}, worst ${row.worst_ms}`,
      );
    }
  }
  return measured;
}

async function measure(
  auditor: Auditor,
  asked: Asked,
): Promise<Pick<InvestigateRow, 'rows' | 'first_ms' | 'median_ms' | 'worst_ms'>> {
  const times: number[] = [];
  let rows = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const begun = performance.now();
    const page = await auditor.ask(asked);
    times.push(Number((performance.now() - begun).toFixed(1)));
    if (!page.ok) throw new Error(`${asked.question}: ${page.error.message}`);
    rows = page.value.rows.length;
  }
  const [first = 0, ...warm] = times;
  const sorted = warm.toSorted((one, other) => one - other);
  return {
    rows,
    first_ms: first,
    median_ms: sorted[Math.floor(sorted.length / 2)] ?? 0,
    worst_ms: sorted.at(-1) ?? 0,
  };
}

export async function measureStream(auditor: Auditor, say: (line: string) => void): Promise<void> {
  const asked = {
    question: 'all-activity',
    parameters: {},
    tenant: 'acme',
    timeZone: 'UTC',
    ...YEAR,
  };
  const stream = await auditor.stream(asked);
  if (!stream.ok) throw new Error(stream.error.message);
  const begun = performance.now();
  let [rows, peak] = [0, 0];
  const rss: number[] = [];
  for await (const batch of stream.value.batches) {
    rows += batch.length;
    const now = Math.round(process.memoryUsage.rss() / 1e6);
    peak = Math.max(peak, now);
    if (rows % 100_000 < batch.length) rss.push(now);
    if (rows >= STREAM_ROWS) break;
  }
  const seconds = (performance.now() - begun) / 1000;
  say(
    `streamed ${rows} rows in ${seconds.toFixed(1)} s; RSS MB each 100,000 rows: ${rss.join(' ')}, peak ${peak}`,
  );
}
