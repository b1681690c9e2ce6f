/**
 * `npm run bench -- ingest`: durably acked events a second and their latency, at 1, 8 and 64 clients,
 * one by one and pipelined, and at a steady 1,000 a second; beside it, in the same run and with the same
 * event, PostgreSQL with one insert per commit and Redis XADD with `appendfsync always`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadOptions, Mode } from './load.ts';
import { startPostgresql, startRedis, type Peer } from './peers.ts';
import { measure, startAgent, type Measured } from './processes.ts';
import { benchVocabulary } from './vocabulary.ts';

export interface IngestRow extends Measured {
  readonly target: string;
  readonly clients: number;
  readonly mode: Mode;
}

const CLIENTS = [1, 8, 64];

/** Runs the benchmark; `seconds` per row. */
export async function runIngest(
  seconds: number,
  say: (line: string) => void,
): Promise<IngestRow[]> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-bench-'));
  const rows: IngestRow[] = [];

  async function row(peer: Peer, clients: number, mode: Mode): Promise<void> {
    // The same number of events is open in all, however many clients share them.
    const window = Math.max(64, Math.floor(16_384 / clients));
    const load: LoadOptions = { mode, seconds, window, rate: 1000 / clients };
    const measured = await measure(peer.target, clients, load, peer.pid);
    const done = { target: peer.target.kind, clients, mode, ...measured };
    rows.push(done);
    say(formatRow(done));
  }

  try {
    say(HEADER);
    const agent = await startAgent(join(dir, 'agent'), '', benchVocabulary);
    try {
      for (const clients of CLIENTS)
        for (const mode of ['await', 'pipeline'] as const) await row(agent, clients, mode);
      await row(agent, 8, 'paced');
    } finally {
      await agent.stop();
    }
    for (const start of [startPostgresql, startRedis]) {
      const peer = await start(dir, say);
      if (peer === null) continue;
      try {
        for (const clients of CLIENTS) await row(peer, clients, 'await');
        await row(peer, 8, 'paced');
        if (peer.target.kind === 'redis')
          for (const clients of CLIENTS) await row(peer, clients, 'pipeline');
      } finally {
        await peer.stop();
      }
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  for (const line of formatRatios(rows)) say(line);
  return rows;
}

const HEADER =
  'target      clients mode        events/s    p50 ms    p99 ms  p99.9 ms  target us/ev  client us/ev  RSS MB';

function formatRow(row: IngestRow): string {
  const figure = (value: number | null, digits: number, width: number): string =>
    (value === null ? '-' : value.toFixed(digits)).padStart(width);
  return [
    row.target.padEnd(11),
    String(row.clients).padStart(7),
    row.mode.padEnd(8),
    figure(row.eventsPerSecond, 0, 11),
    figure(row.latencyMs.p50, 2, 9),
    figure(row.latencyMs.p99, 2, 9),
    figure(row.latencyMs.p999, 2, 9),
    figure(row.targetCpuUs, 1, 13),
    figure(row.clientCpuUs, 1, 13),
    figure(row.rssMb, 0, 7),
  ].join(' ');
}

/** Ours against each peer, at the same number of clients and in the same mode where it has one. */
function formatRatios(rows: readonly IngestRow[]): string[] {
  const ours = rows.filter((row) => row.target === 'sealtrail');
  return rows
    .filter((row) => row.target !== 'sealtrail')
    .flatMap((peer) =>
      ours
        .filter((own) => own.clients === peer.clients && own.mode === peer.mode)
        .map((own) => {
          // At a given rate it is the wait that differs.
          const [what, ratio] =
            own.mode === 'paced'
              ? ['p99', own.latencyMs.p99 / peer.latencyMs.p99]
              : ['events/s', own.eventsPerSecond / peer.eventsPerSecond];
          return `sealtrail / ${peer.target}, ${peer.clients} clients, ${peer.mode}, ${what}: ${ratio.toFixed(2)}`;
        }),
    );
}
