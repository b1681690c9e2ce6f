/** The real gateway, as a process of its own (dist/), in a data directory of its own; killed by pid. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GATEWAY_LETTERS } from '../../agent/gateway/dead-letters.ts';
import type { GatewayStatus } from '../../agent/gateway/status.ts';
import { until } from './agent-peer.ts';
import { CLI } from './agent-process.ts';

export interface GatewayProcessOptions {
  readonly name: string;
  readonly nats: Readonly<Record<string, unknown>>;
  readonly postgresql: Readonly<Record<string, unknown>>;
}

export interface DeadLetterLine {
  readonly kind: string;
  readonly reason: string;
  readonly subject: string;
  readonly data_base64: string;
}

export interface GatewayProcess extends AsyncDisposable {
  readonly dir: string;
  output(): string;
  pid(): number;
  adminUrl(): string;
  status(): Promise<GatewayStatus>;
  letters(): Promise<readonly DeadLetterLine[]>;
  start(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

/** Starts a gateway; with `await using` it is stopped and its directory removed. */
export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-gateway-'));
  const configFile = join(dir, 'gateway.yaml');
  const config = {
    data_dir: dir,
    ...options,
    telemetry: { admin_endpoint: '127.0.0.1:0' },
  };
  await writeFile(configFile, JSON.stringify(config));
  let child: ChildProcess | null = null;
  let output = '';
  let adminUrl = '';

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [CLI, 'gateway', '--config', configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    const from = output.length;
    for (const stream of [started.stdout, started.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    await until(() => {
      if (started.exitCode !== null || started.signalCode !== null)
        throw new Error(`the gateway ended:\n${output.slice(from)}`);
      return / is ready\. .*http:\S+/.test(output.slice(from));
    }, 'the gateway to be ready');
    adminUrl = / is ready\. .*(http:\S+)/.exec(output.slice(from))?.[1] ?? '';
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const ending = child;
    child = null;
    if (ending === null) return null;
    if (ending.exitCode === null && ending.signalCode === null) {
      const exited = once(ending, 'exit');
      ending.kill(signal);
      await exited;
    }
    return ending.exitCode;
  }

  await start();
  return {
    dir,
    output: () => output,
    pid: () => child?.pid ?? 0,
    adminUrl: () => adminUrl,
    status: async () => (await (await fetch(`${adminUrl}/status`)).json()) as GatewayStatus,
    letters: async () => {
      const text = await readFile(join(dir, GATEWAY_LETTERS), 'utf8').catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
        throw error;
      });
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as DeadLetterLine);
    },
    start,
    stop: () => end('SIGTERM'),
    kill: async () => {
      await end('SIGKILL');
    },
    [Symbol.asyncDispose]: async () => {
      await end('SIGTERM');
      await rm(dir, { recursive: true, force: true });
    },
  };
}
