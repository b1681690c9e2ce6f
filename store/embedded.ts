/**
 * The embedded store: a real PostgreSQL server from npm binaries, run as a process of its own.
 * It lives in its own process group, so that Ctrl-C reaches the agent alone and the agent can
 * drain before it stops the server; after a kill -9 of the agent the next start adopts it.
 * It listens on 127.0.0.1 only, with scram-sha-256 and generated passwords; no unix socket.
 */
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, stat, truncate } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { spawn } from 'node:child_process';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import { embeddedUrl, passwordFileOf } from './embedded-address.ts';
import { bootstrapCluster } from './embedded-cluster.ts';
import {
  loadBinaries,
  spawnAs,
  type Binaries,
  type EmbeddedError,
  type Identity,
} from './embedded-binaries.ts';
import { chooseIdentity, openTo } from './embedded-identity.ts';
import { freePort, pickPort, portFileOf, writePort } from './embedded-port.ts';
import {
  findRunning,
  stopPostmaster,
  waitUntilReady,
  type Postmaster,
} from './embedded-process.ts';
import { loadPasswords, type Passwords } from './embedded-passwords.ts';

export interface EmbeddedOptions {
  /** Directory of the server's data, below the agent's data directory; made when missing. */
  readonly dir: string;
  /** 0 picks a free port and keeps it in `dir`; a taken one is replaced, and that is logged. */
  readonly port: number;
  /** Where generated passwords are kept (0600). Default: `<dir>/../keys/postgres-passwords.json`. */
  readonly passwordFile?: string;
  readonly log?: (level: 'info' | 'warn', message: string) => void;
  /** Default 40: the agent's few, and people's. */
  readonly maxConnections?: number;
  /** Calls off the making of a cluster, which may take long on a slow machine. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres {
  readonly ownerUrl: string;
  readonly writerUrl: string;
  readonly auditorUrl: string;
  readonly retentionUrl: string;
  readonly legalUrl: string;
  /** Superuser of this server, for operators and tests; the agent never uses it. */
  readonly adminUrl: string;
  readonly port: number;
  readonly pid: number;
  /** True: the server was still running from an earlier agent. */
  readonly adopted: boolean;
  /** Fast shutdown, at last SIGKILL; resolves when the process is gone, by default within 8 s. */
  stop(withinMs?: number): Promise<void>;
}

interface Layout {
  readonly dir: string;
  readonly data: string;
  readonly log: string;
  readonly portFile: string;
}

const START_ATTEMPTS = 5;
const LEAVE_MS = 20_000;
const LEAVE_LOOK_MS = 500;
const MAX_CONNECTIONS_DEFAULT = 40;
const LOG_BYTES_MAX = 8 * 1024 * 1024;

/** Starts, or adopts, the server of a directory. Under 3 s the first time, under 1 s later. */
export async function startEmbeddedPostgres(
  options: EmbeddedOptions,
): Promise<Result<EmbeddedPostgres, EmbeddedError>> {
  try {
    return await start(options);
  } catch (error) {
    const kind = ['EACCES', 'EPERM'].includes(codeOf(error)) ? 'permission' : 'start';
    return err({ kind, message: `embedded PostgreSQL in ${options.dir}: ${messageOf(error)}` });
  }
}

/** Stops a server that an agent left running in `dir`; false when none runs. */
export async function stopOrphanedPostgres(dir: string): Promise<boolean> {
  const running = await findRunning(layoutOf(resolve(dir)).data);
  if (running === null) return false;
  await stopPostmaster(running.pid);
  return true;
}

function layoutOf(dir: string): Layout {
  return {
    dir,
    data: join(dir, 'data'),
    log: join(dir, 'server.log'),
    portFile: portFileOf(dir),
  };
}

async function start(options: EmbeddedOptions): Promise<Result<EmbeddedPostgres, EmbeddedError>> {
  const log = options.log ?? (() => undefined);
  const layout = layoutOf(resolve(options.dir));
  await mkdir(layout.dir, { recursive: true, mode: 0o700 });
  const passwordFile = options.passwordFile ?? passwordFileOf(layout.dir);
  const passwords = await loadPasswords(passwordFile);

  const running = await findRunning(layout.data);
  if (running !== null) {
    // New passwords are not the running server's, and new roles it may lack: it is started again.
    const adopted = passwords.created ? null : await adopt(running, passwords.value, log);
    if (adopted !== null) {
      // The agent that started it may have been killed before it could write down where.
      await writePort(layout.portFile, adopted.port);
      return ok(adopted);
    }
    log('warn', `a server left behind (pid ${running.pid}) does not answer; stopping it`);
    await stopPostmaster(running.pid);
  }

  const binaries = await loadBinaries();
  if (!binaries.ok) return binaries;
  const identity = await chooseIdentity(binaries.value, layout.dir);
  if (!identity.ok) return identity;
  await openTo(identity.value, layout.dir);
  const ready = await bootstrapCluster({
    binaries: binaries.value,
    identity: identity.value,
    dir: layout.dir,
    passwords: passwords.value,
    passwordsAreNew: passwords.created,
    signal: options.signal,
  });
  if (!ready.ok) return ready;
  return boot(options, layout, binaries.value, identity.value, passwords.value);
}

async function boot(
  options: EmbeddedOptions,
  layout: Layout,
  binaries: Binaries,
  identity: Identity,
  passwords: Passwords,
): Promise<Result<EmbeddedPostgres, EmbeddedError>> {
  const log = options.log ?? (() => undefined);
  let reason = '';
  let port = await pickPort(options.port, layout.portFile, log);
  let leftMs = LEAVE_MS;
  for (let attempt = 0; attempt < START_ATTEMPTS;) {
    const args = serverArgs(layout.data, port, options.maxConnections ?? MAX_CONNECTIONS_DEFAULT);
    const launched = await launch(layout, args, binaries, identity);
    const up = await waitUntilReady(layout.data, launched, passwords.owner);
    if (up.ok) {
      await writePort(layout.portFile, port);
      return ok(describe(up.value, passwords, false));
    }
    if (up.error === 'credentials') {
      await stopPostmaster(launched.pid);
      return err({
        kind: 'credentials',
        message: `${layout.dir}: the server refuses the password of its owner role; remove the password file and start again to set new ones`,
      });
    }
    reason = await lastLines(layout.log);
    await stopPostmaster(launched.pid);
    if (reason.includes('could not bind')) {
      port = await freePort();
      attempt += 1;
    } else if (reason.includes('still in use') || reason.includes('already exists')) {
      // After a kill -9 the old server's children need a moment to notice and leave, or longer where they stand still.
      if (leftMs <= 0 || options.signal?.aborted === true) break;
      await new Promise((resolve) => setTimeout(resolve, LEAVE_LOOK_MS));
      leftMs -= LEAVE_LOOK_MS;
    } else break;
  }
  return err({ kind: 'start', message: `PostgreSQL did not start in ${layout.dir}: ${reason}` });
}

async function launch(
  layout: Layout,
  args: readonly string[],
  binaries: Binaries,
  identity: Identity,
): Promise<{ pid: number; exited: () => boolean }> {
  const size = await stat(layout.log).then(
    (s) => s.size,
    () => 0,
  );
  if (size > LOG_BYTES_MAX) await truncate(layout.log, 0);
  // A file, not a pipe: the server may outlive this process.
  const out = openSync(layout.log, 'a', 0o600);
  try {
    const command = spawnAs(identity, binaries.postgres, args);
    const child = spawn(command.file, command.args, {
      ...command.options,
      detached: true,
      stdio: ['ignore', out, out],
    });
    let gone = false;
    child.once('exit', () => (gone = true));
    child.once('error', () => (gone = true));
    child.unref();
    return { pid: child.pid ?? 0, exited: () => gone };
  } finally {
    closeSync(out);
  }
}

function serverArgs(data: string, port: number, maxConnections: number): string[] {
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${String(port)}`,
    'unix_socket_directories=',
    'fsync=on',
    'full_page_writes=on',
    'synchronous_commit=on',
    'shared_buffers=128MB',
    `max_connections=${maxConnections}`,
    // A query over all months locks each partition and its indexes.
    'max_locks_per_transaction=256',
    'min_wal_size=256MB',
    'max_wal_size=2GB',
    'checkpoint_timeout=10min',
    'autovacuum_max_workers=1',
    'password_encryption=scram-sha-256',
    'timezone=UTC',
    'log_timezone=UTC',
    'log_checkpoints=off',
    'log_parameter_max_length=0',
    'log_parameter_max_length_on_error=0',
    // Statements carry no event contents (parameters do), but a log needs none of them.
    'log_min_error_statement=panic',
    'jit=off',
  ];
  return ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
}

async function adopt(
  running: Postmaster,
  passwords: Passwords,
  log: (level: 'info' | 'warn', message: string) => void,
): Promise<EmbeddedPostgres | null> {
  const up = await waitUntilReady(running.dataDir, running, passwords.owner);
  if (!up.ok) return null;
  log('info', `adopted the PostgreSQL that was still running (pid ${up.value.pid})`);
  return describe(up.value, passwords, true);
}

function describe(server: Postmaster, passwords: Passwords, adopted: boolean): EmbeddedPostgres {
  const url = (role: keyof Passwords): string => embeddedUrl(role, passwords[role], server.port);
  return {
    ownerUrl: url('owner'),
    writerUrl: url('writer'),
    auditorUrl: url('auditor'),
    retentionUrl: url('retention'),
    legalUrl: url('legal'),
    adminUrl: url('admin'),
    port: server.port,
    pid: server.pid,
    adopted,
    stop: (withinMs) => stopPostmaster(server.pid, withinMs),
  };
}

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.slice(-4000).trim().split('\n').slice(-6).join(' | ');
}
