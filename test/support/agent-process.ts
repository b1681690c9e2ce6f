/**
 * The real agent (dist/, which `npm test` builds first) in another process, with a data directory of its own on free
 * ports. Stopped, killed and started again by pid.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import type { AgentStatus } from '../../agent/status-ports.ts';
import { freePort } from '../../bench/processes.ts';
import { stopOrphanedPostgres } from '../../store/embedded.ts';
import { until } from './agent-peer.ts';
import { seedCluster } from './cluster-template.ts';
import { findForbiddenIn } from './deny-list.ts';
import { eventually } from './eventually.ts';
import { runAlone, runHosted, type RunningProgram } from './program.ts';

const ROOT = join(import.meta.dirname, '../..');
export const CLI: string = join(ROOT, 'dist/cli/main.js');
export const VOCABULARY: string = join(ROOT, 'config/vocabulary.json');

export interface AgentProcessOptions {
  /** YAML of the exporters, by name; default: an embedded PostgreSQL, an ECS and an OCSF file. */
  readonly exporters?: Readonly<Record<string, object>>;
  /** Laid over the configuration, by top-level member. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly dir?: string;
  /** The agent makes its database itself. */
  readonly isFirstStart?: boolean;
  /** How long a stop may take; default: the agent's. */
  readonly shutdownTimeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Put before the agent's own command line: `['strace', …]`. */
  readonly wrapper?: readonly string[];
  /** In a process that runs this agent alone and ends with it; default: only with `wrapper` or `env`. */
  readonly isAlone?: boolean;
}

export interface AgentProcess extends AsyncDisposable {
  readonly dir: string;
  readonly configFile: string;
  readonly socketPath: string;
  readonly otlpUrl: string;
  readonly adminUrl: string;
  /** Everything the process has printed, both streams, of all its starts. */
  output(): string;
  pid(): number;
  /** Closes the ends of its output that this process holds. */
  stopReading(): void;
  redactionKey(): Promise<string>;
  status(): Promise<AgentStatus>;
  /** Resolves once every sink has confirmed everything. */
  delivered(timeoutMs?: number): Promise<void>;
  /** Connection URL of a role of the embedded PostgreSQL. */
  databaseUrl(role?: 'owner' | 'writer' | 'auditor' | 'admin'): Promise<string>;
  start(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Resolves with the exit code once the process has ended by itself. */
  ended(): Promise<number | null>;
  kill(): Promise<void>;
}

export const DEFAULT_EXPORTERS: Readonly<Record<string, object>> = {
  postgresql: { embedded: true, port: 0 },
  'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' },
  'file/ocsf': { path: 'siem/ocsf.ndjson', format: 'ocsf' },
};

/** Starts an agent; with `await using` it is stopped and its directory removed. */
export async function startAgentProcess(options: AgentProcessOptions = {}): Promise<AgentProcess> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'sealtrail-agent-')));
  await mkdir(dir, { recursive: true });
  const exporters = Object.values(options.exporters ?? DEFAULT_EXPORTERS);
  const isEmbedded = exporters.some((one) => 'embedded' in one && one.embedded === true);
  if (isEmbedded && options.isFirstStart !== true && !existsSync(join(dir, 'postgres')))
    await seedCluster(dir);
  const [otlpPort, adminPort] = [await freePort(), await freePort()];
  const configFile = join(dir, 'sealtrail.yaml');
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify(configOf(dir, otlpPort, adminPort, options), null, 2));
  const agent = createProcess(dir, configFile, { otlpPort, adminPort }, options);
  await agent.start();
  return agent;
}

function configOf(
  dir: string,
  otlpPort: number,
  adminPort: number,
  options: AgentProcessOptions,
): object {
  const exporters = options.exporters ?? DEFAULT_EXPORTERS;
  return {
    data_dir: dir,
    agent: { name: 'test', vocabulary_file: VOCABULARY },
    receivers: {
      socket: { tenants: ['*'] },
      otlp: { endpoint: `127.0.0.1:${otlpPort}`, tenants: ['*'], default_tenant: 'default' },
    },
    processors: { redaction: {} },
    exporters,
    tenants: [{ id: 'default' }, { id: 'acme' }, { id: 'globex' }],
    service: {
      pipelines: {
        audit: {
          receivers: ['socket', 'otlp'],
          processors: ['redaction'],
          exporters: Object.keys(exporters),
        },
      },
      telemetry: { admin_endpoint: `127.0.0.1:${adminPort}`, log_level: 'info' },
      ...(options.shutdownTimeoutMs && { shutdown_timeout_ms: options.shutdownTimeoutMs }),
    },
    ...options.config,
  };
}

function createProcess(
  dir: string,
  configFile: string,
  ports: { otlpPort: number; adminPort: number },
  options: AgentProcessOptions,
): AgentProcess {
  let program: RunningProgram | null = null;
  let output = '';

  async function start(): Promise<void> {
    const from = output.length;
    const running = {
      env: { ...process.env, SEALTRAIL_REDACTION_KEY: undefined, ...options.env },
      cwd: process.cwd(),
      onOutput: (text: string) => void (output += text),
    };
    const { wrapper, isAlone = wrapper !== undefined || options.env !== undefined } = options;
    const words = ['agent', '--config', configFile];
    const started = isAlone
      ? runAlone([...(wrapper ?? []), process.execPath, CLI, ...words], running)
      : runHosted(words, running);
    program = started;
    // Not expect.poll: this runs in beforeAll as well, where vitest forbids it.
    const isReady = (): boolean => {
      if (started.code() !== undefined) throw new Error(`the agent ended:\n${output.slice(from)}`);
      return output.slice(from).includes('is ready');
    };
    await until(isReady, () => `the agent to be ready:\n${output.slice(from)}`, 120_000);
  }

  async function end(signal?: NodeJS.Signals): Promise<number | null> {
    const ending = program;
    if (ending === null) return null;
    if (signal !== undefined) {
      program = null;
      ending.signal(signal);
    }
    return ending.ended;
  }

  const status = async (): Promise<AgentStatus> =>
    JSON.parse(await getOverSocket(join(dir, 'admin.sock'), '/status')) as AgentStatus;

  return {
    dir,
    configFile,
    socketPath: join(dir, 'sealtrail.sock'),
    otlpUrl: `http://127.0.0.1:${ports.otlpPort}`,
    adminUrl: `http://127.0.0.1:${ports.adminPort}`,
    output: () => output,
    pid: () => program?.pid ?? 0,
    stopReading: () => program?.stopReading(),
    redactionKey: async () => (await readFile(join(dir, 'keys/redaction.key'), 'utf8')).trim(),
    status,
    delivered: (timeoutMs = 120_000) =>
      vi.waitFor(
        async () => {
          const lagging = (await status()).sinks.filter(({ lag_records }) => lag_records > 0);
          expect(lagging).toEqual([]);
        },
        { timeout: timeoutMs, interval: 50 },
      ),
    databaseUrl: async (role = 'writer') => {
      // An agent is ready before its database is, and the file of the port is there once that is up.
      const port = (await eventually(() => readFile(join(dir, 'postgres/port'), 'utf8'))).trim();
      const passwords = JSON.parse(
        await readFile(join(dir, 'keys/postgres-passwords.json'), 'utf8'),
      ) as Record<string, string>;
      return `postgresql://sealtrail_${role}:${passwords[role]}@127.0.0.1:${port}/sealtrail`;
    },
    start,
    stop: () => end('SIGTERM'),
    ended: () => end(),
    kill: async () => {
      await end('SIGKILL');
    },
    [Symbol.asyncDispose]: async () => {
      await end('SIGTERM');
      if (existsSync(join(dir, 'postgres'))) await stopOrphanedPostgres(join(dir, 'postgres'));
      const shown = await findForbiddenIn(dir, output);
      // What a killed database has left may be at its files a moment longer.
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
      expect(shown, 'what the agent has written and printed is free of secrets').toEqual([]);
    },
  };
}

function getOverSocket(socketPath: string, path: string): Promise<string> {
  return new Promise((done, fail) => {
    const headers = { Host: 'localhost' };
    // A connection of its own: one that was kept may be ended by the agent at this moment.
    const asked = request({ socketPath, path, headers, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      answer.on('end', () => done(body));
      answer.on('error', fail);
    });
    asked.on('error', fail);
    asked.end();
  });
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sealtrail` with arguments to its end; with `input` in a process of its own, as there is one standard input. */
export async function runCli(
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
  } = {},
): Promise<Ran> {
  const printed = { stdout: '', stderr: '' };
  const running = {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, SEALTRAIL_REDACTION_KEY: undefined, ...options.env },
    onOutput: (text: string, stream: 'stdout' | 'stderr') => void (printed[stream] += text),
  };
  const { input } = options;
  const program =
    input === undefined
      ? runHosted(args, running)
      : runAlone([process.execPath, CLI, ...args], { ...running, input });
  return { code: await program.ended, ...printed };
}
