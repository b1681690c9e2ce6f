/**
 * The real nats-server for tests: JetStream in a temporary folder, on a free port of 127.0.0.1, started
 * again on the same port and folder after a kill, and stopped by its pid.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../bench/processes.ts';
import { until } from './agent-peer.ts';

// Debian has it where the PATH of ordinary users does not lead.
const NATS_SERVER = existsSync('/usr/sbin/nats-server') ? '/usr/sbin/nats-server' : 'nats-server';
/** Whether the server is installed. */
export const hasNats: boolean = spawnSync(NATS_SERVER, ['--version']).status === 0;

export interface TestNats extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  pid(): number;
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Has it read another configuration, or the same one with other files, while it runs. */
  reload(config: string): Promise<void>;
}

/** Starts a server; `config` is put below what JetStream and the port need. */
export async function startNats(config: string = ''): Promise<TestNats> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-nats-'));
  const configFile = join(dir, 'nats.conf');
  // Started again after a kill, it has to find its port free.
  let port = await freePort();
  let child: ChildProcess | null = null;
  let output = '';

  const configure = (more: string): Promise<void> =>
    writeFile(
      configFile,
      `host: 127.0.0.1\nport: ${port}\nports_file_dir: "${dir}"\njetstream { store_dir: "${dir}/jetstream" }\n${more}\n`,
    );

  async function start(): Promise<void> {
    await configure(config);
    const started = spawn(NATS_SERVER, ['-c', configFile], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child = started;
    const from = output.length;
    started.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    await until(() => {
      if (started.exitCode !== null) throw new Error(`nats-server ended:\n${output.slice(from)}`);
      return output.slice(from).includes('Server is ready');
    }, 'nats-server to be ready');
    port = await readPort(dir, started.pid ?? 0);
  }

  async function reload(next: string): Promise<void> {
    await configure(next);
    const from = output.length;
    child?.kill('SIGHUP');
    await until(() => output.slice(from).includes('Reloaded server configuration'), 'a reload');
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child;
    child = null;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = once(ending, 'exit');
    ending.kill(signal);
    await exited;
  }

  await start();
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    pid: () => child?.pid ?? 0,
    kill: () => end('SIGKILL'),
    start,
    reload,
    [Symbol.asyncDispose]: async () => {
      await end('SIGTERM');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The server writes its addresses into a file that is named after its pid. */
async function readPort(dir: string, pid: number): Promise<number> {
  let name: string | undefined;
  let port = 0;
  for (const endMs = performance.now() + 10_000; performance.now() < endMs && port === 0;) {
    name = (await readdir(dir)).find((one) => one.endsWith('.ports') && one.includes(`${pid}`));
    const text = name === undefined ? '' : await readFile(join(dir, name), 'utf8');
    port = Number(/127\.0\.0\.1:(\d+)/.exec(text)?.[1] ?? 0);
    if (port === 0) await new Promise((done) => setTimeout(done, 20));
  }
  if (port === 0) throw new Error('nats-server did not say its port');
  return port;
}
