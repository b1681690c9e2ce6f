/** Starts what a benchmark needs: the agent, peers, client processes; stops each by its pid. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadOptions, LoadResult } from './load.ts';
import { latenciesOf, usageOf, type Latencies } from './statistics.ts';
import type { TargetSpec } from './targets.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** Client processes: more than the cores would only make them starve one another. */
const PROCESSES_MAX = 2;

/** Below those that a system hands out by itself: who asks it for any port is never given one of these. */
const [PORT_MIN, PORT_MAX] = [10_240, 32_000];
let nextPort = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));

/** A port that is free, and stays so until it is listened on, a stop and a start in between as well. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort;
    nextPort = port < PORT_MAX ? port + 1 : PORT_MIN;
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

export interface BenchAgent {
  readonly pid: number;
  readonly target: TargetSpec;
  stop(): Promise<void>;
}

/** Starts the real agent; `exporters` is YAML, for benchmarks of delivery. */
export async function startAgent(
  dir: string,
  exporters: string,
  vocabulary: unknown,
): Promise<BenchAgent> {
  await mkdir(dir, { recursive: true });
  const config = join(dir, 'sealtrail.yaml');
  const names = [...exporters.matchAll(/^ {2}([a-z/]+):/gm)].map((match) => match[1]).join(', ');
  await writeFile(join(dir, 'vocabulary.yaml'), JSON.stringify(vocabulary));
  await writeFile(
    config,
    `data_dir: ${dir}\nagent: { name: bench, vocabulary_file: ${dir}/vocabulary.yaml }\nreceivers:\n  socket: { tenants: ["*"] }\nprocessors:\n  redaction: {}\nexporters:\n${exporters === '' ? '  {}' : exporters}\ntenants: [{ id: acme }, { id: globex }]\nservice:\n  pipelines:\n    audit: { receivers: [socket], processors: [redaction], exporters: [${names}] }\n  telemetry: { admin_endpoint: "127.0.0.1:${await freePort()}" }\n`,
  );
  const cli = join(HERE, '../cli/main.js');
  const child = spawn(process.execPath, [cli, 'agent', '--config', config], {
    env: { ...process.env, SEALTRAIL_DATA_DIR: dir },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const socket = join(dir, 'sealtrail.sock');
  await waitFor(() => connects(socket), child);
  const redactionKey = (await readFile(join(dir, 'keys/redaction.key'), 'utf8')).trim();
  return {
    pid: child.pid ?? 0,
    target: { kind: 'sealtrail', address: socket, redactionKey, vocabulary },
    stop: () => stopChild(child, 'SIGTERM'),
  };
}

async function connects(path: string): Promise<boolean> {
  const { connect } = await import('node:net');
  const socket = connect(path);
  const connected = await new Promise<boolean>((done) => {
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
  socket.destroy();
  return connected;
}

/** Waits for a condition of a child that is starting; throws when the child ends first. */
export async function waitFor(
  condition: () => Promise<boolean>,
  child: ChildProcess,
): Promise<void> {
  for (const endMs = performance.now() + 30_000; performance.now() < endMs;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${child.spawnfile} did not start within 30 s`);
}

export async function stopChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

export interface Measured {
  readonly events: number;
  readonly eventsPerSecond: number;
  readonly latencyMs: Latencies;
  /** CPU of the target process per event, microseconds; null where there are several processes. */
  readonly targetCpuUs: number | null;
  readonly clientCpuUs: number;
  readonly rssMb: number | null;
}

/** The next message of a client process; rejects when it ends without one. */
async function nextMessage(child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(() => {
    throw new Error('a client process ended early; it has said why');
  });
  const [message] = await Promise.race([once(child, 'message'), ended]);
  return message;
}

/** Loads a target with clients in other processes. */
export async function measure(
  target: TargetSpec,
  clients: number,
  load: LoadOptions,
  targetPid: number | null,
): Promise<Measured> {
  const processes = Math.min(clients, PROCESSES_MAX);
  const children = Array.from({ length: processes }, () => fork(join(HERE, 'client.js')));
  const shares = children.map(
    (_, i) => Math.floor(clients / processes) + (i < clients % processes ? 1 : 0),
  );
  const ready = children.map(nextMessage);
  children.forEach((child, i) => child.send({ target, clients: shares[i], load }));
  await Promise.all(ready);
  const before = targetPid === null ? null : usageOf(targetPid);
  const reports = children.map(async (child) => {
    const report = await nextMessage(child);
    return report as { results: LoadResult[]; cpuSeconds: number };
  });
  const exits = children.map((child) => once(child, 'exit'));
  for (const child of children) child.send('go');
  const done = await Promise.all(reports);
  const after = targetPid === null ? null : usageOf(targetPid);
  await Promise.all(exits);
  const results = done.flatMap((report) => report.results);
  const events = results.reduce((sum, result) => sum + result.events, 0);
  const seconds = Math.max(...results.map((result) => result.seconds));
  const clientCpu = done.reduce((sum, report) => sum + report.cpuSeconds, 0);
  return {
    events,
    eventsPerSecond: events / seconds,
    latencyMs: latenciesOf(results.flatMap((result) => result.samplesMs)),
    targetCpuUs: before && after ? ((after.cpuSeconds - before.cpuSeconds) / events) * 1e6 : null,
    clientCpuUs: (clientCpu / events) * 1e6,
    rssMb: after === null ? null : after.rssBytes / 1e6,
  };
}
