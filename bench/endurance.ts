/**
 * `npm run bench -- slow-sink | recovery | soak`: what a sink that cannot keep up costs the others, how
 * long a start takes over a backlog, and whether anything grows that should not.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measure, startAgent, type BenchAgent } from './processes.ts';
import { fillLedger } from './sealed-ledger.ts';
import { startSlowBulk } from './slow-bulk.ts';
import { residentBytes, type Latencies } from './statistics.ts';
import { benchVocabulary } from './vocabulary.ts';

type Say = (line: string) => void;

/** Events per second in all: far below what the agent takes, so that waiting shows as waiting. */
const RATE = 1_000;
const CLIENTS = 8;
/** 10 documents a second: a hundredth of the rate. */
const SLOW = { delayMs: 1_000, batchRecords: 10 };
/** Records; the last is more than 1 GiB. */
const BACKLOGS = [50_000, 200_000, 1_000_000];
const SOAK_WINDOW_SECONDS = 10;
const FILE = (dir: string): string => `  file/ecs: { path: ${dir}/ecs.ndjson, format: ecs }\n`;

export interface SlowSinkRow {
  readonly sink: 'fast' | 'slow';
  readonly events: number;
  readonly latencyMs: Latencies;
  readonly documents: number;
  /** Resident memory of the agent, once a second. */
  readonly rssMb: readonly number[];
}

/** The same load with a sink that keeps up and with one that is a hundred times too slow. */
export async function runSlowSink(seconds: number, say: Say): Promise<SlowSinkRow[]> {
  const rows: SlowSinkRow[] = [];
  for (const sink of ['fast', 'slow'] as const) {
    await inTemporaryDir(async (dir) => {
      const bulk = await startSlowBulk(sink === 'slow' ? SLOW.delayMs : 0);
      const batch = sink === 'slow' ? `, batch_records_max: ${SLOW.batchRecords}` : '';
      const exporter = `  elasticsearch: { endpoints: ["${bulk.url}"]${batch} }\n`;
      const agent = await startAgent(join(dir, 'data'), exporter + FILE(dir), benchVocabulary);
      const rssMb: number[] = [];
      const sampler = setInterval(() => rssMb.push(residentMb(agent)), 1_000);
      try {
        const { events, latencyMs } = await load(agent, seconds);
        rows.push({ sink, events, latencyMs, documents: bulk.documents(), rssMb });
        say(
          `${sink}: ${events} events acked, ${bulk.documents()} at the sink, p50 ${ms(latencyMs.p50)}, p99 ${ms(latencyMs.p99)}`,
        );
        say(plot(rssMb));
      } finally {
        clearInterval(sampler);
        await agent.stop();
        await bulk.stop();
      }
    });
  }
  return rows;
}

export interface RecoveryRow {
  readonly records: number;
  /** From the start of the process to the first connection it takes. */
  readonly startMs: number;
}

/** A start over ledgers of several sizes, none of which any sink has had. */
export async function runRecovery(say: Say): Promise<RecoveryRow[]> {
  const rows: RecoveryRow[] = [];
  for (const wanted of BACKLOGS) {
    await inTemporaryDir(async (dir) => {
      const records = await fillLedger(join(dir, 'data/ledger'), wanted);
      const startedMs = performance.now();
      const agent = await startAgent(join(dir, 'data'), FILE(dir), benchVocabulary);
      const startMs = performance.now() - startedMs;
      await agent.stop();
      rows.push({ records, startMs });
      say(`${String(records).padStart(8)} records: takes events after ${ms(startMs)}`);
    });
  }
  return rows;
}

export interface SoakRow {
  /** Since the start. */
  readonly seconds: number;
  readonly latencyMs: Latencies;
  readonly rssMb: number;
  readonly openFiles: number;
}

/** The same load for as long as is asked for, in windows: what grows from one to the next leaks. */
export async function runSoak(seconds: number, say: Say): Promise<SoakRow[]> {
  const rows: SoakRow[] = [];
  await inTemporaryDir(async (dir) => {
    const agent = await startAgent(join(dir, 'data'), FILE(dir), benchVocabulary);
    try {
      for (let at = 0; at < seconds;) {
        const window = Math.min(SOAK_WINDOW_SECONDS, seconds - at);
        const { latencyMs } = await load(agent, window);
        at += window;
        const openFiles = readdirSync(`/proc/${agent.pid}/fd`).length;
        const row = { seconds: at, latencyMs, rssMb: residentMb(agent), openFiles };
        rows.push(row);
        say(
          `${String(at).padStart(5)} s: p50 ${ms(latencyMs.p50)}, p99 ${ms(latencyMs.p99)}, ${row.rssMb.toFixed(0)} MB, ${openFiles} files`,
        );
      }
      say(plot(rows.map(({ rssMb }) => rssMb)));
    } finally {
      await agent.stop();
    }
  });
  return rows;
}

function load(agent: BenchAgent, seconds: number): ReturnType<typeof measure> {
  const paced = { mode: 'paced', seconds, window: 1, rate: RATE / CLIENTS } as const;
  return measure(agent.target, CLIENTS, paced, agent.pid);
}

function residentMb({ pid }: BenchAgent): number {
  return residentBytes(pid) / 1e6;
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

const BARS = '▁▂▃▄▅▆▇█';

/** Resident memory over time, from nothing to its highest. */
function plot(values: readonly number[]): string {
  const highest = Math.max(...values, 1);
  const bars = values.map((value) => BARS[Math.round((value / highest) * (BARS.length - 1))] ?? '');
  return `  RSS ${bars.join('')} highest ${highest.toFixed(0)} MB`;
}

async function inTemporaryDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-bench-'));
  try {
    await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
