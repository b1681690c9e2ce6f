/**
 * The embedded server as a process: found through postmaster.pid, told from a stranger that got
 * its process id, waited for until it answers, and stopped by signal.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { codeOf, err, ok, type Result } from '../schemas/result.ts';
import { DATABASE } from './embedded-cluster.ts';

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly dataDir: string;
}

/** Crash recovery may take a while; a server that is not running ends the wait at once. */
const READY_TIMEOUT_MS = 60_000;
const STOP_MS = 8_000;
const POLL_MS = 15;

/** The server running on a data directory, or null. Removes a pid file that names a stranger. */
export async function findRunning(dataDir: string): Promise<Postmaster | null> {
  const lines = await readPidFile(dataDir);
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !(await isAlive(pid))) return null;
  if (await isPostmasterOf(pid, dataDir)) return { pid, port: Number(lines[3]), dataDir };
  // PostgreSQL itself would take the stranger for a running server and refuse to start. With a
  // dead pid the file stays: PostgreSQL needs it to detect backends that are still attached.
  await rm(join(dataDir, 'postmaster.pid'), { force: true });
  return null;
}

/** Waits until the server accepts the owner; fails when its process ends or refuses the password. */
export async function waitUntilReady(
  dataDir: string,
  server: { readonly pid: number; readonly exited?: () => boolean },
  ownerPassword: string,
): Promise<Result<Postmaster, 'exited' | 'credentials' | 'timeout'>> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const lines = await readPidFile(dataDir);
    const port = Number(lines[3]);
    if (Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready') {
      const answer = await knock(port, ownerPassword);
      if (answer === 'credentials') return err('credentials');
      if (answer === 'open') return ok({ pid: server.pid, port, dataDir });
    }
    if (server.exited?.() === true || !(await isAlive(server.pid))) return err('exited');
    await pause();
  }
  return err('timeout');
}

/** Shares of the time to stop: a fast shutdown, an immediate one (crash recovery next time), the end. */
const STOP_STEPS = [
  ['SIGINT', 0.7],
  ['SIGQUIT', 0.2],
  ['SIGKILL', 0.1],
] as const;

/** Stops a server within this time, as gently as the time allows. */
export async function stopPostmaster(pid: number, withinMs: number = STOP_MS): Promise<void> {
  if (pid <= 1) return;
  for (const [signal, share] of STOP_STEPS) {
    if (!(await isAlive(pid)) || !send(pid, signal)) return;
    const deadline = Date.now() + withinMs * share;
    while (Date.now() < deadline) {
      if (!(await isAlive(pid))) return;
      await pause();
    }
  }
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
    throw error;
  }
}

async function knock(port: number, password: string): Promise<'open' | 'closed' | 'credentials'> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'sealtrail_owner',
    password,
    database: DATABASE,
    connectionTimeoutMillis: 5_000,
  });
  // Errors after the answer (a server going down) have no reader here.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return 'open';
  } catch (error) {
    if (codeOf(error).startsWith('28')) return 'credentials';
    // 57P03: still starting. Anything else: another try until the deadline decides.
    return 'closed';
  } finally {
    await Promise.allSettled([client.end()]);
  }
}

async function readPidFile(dataDir: string): Promise<string[]> {
  try {
    return (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** A zombie (container without a reaper) counts as gone. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
  const status = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '');
  return status.slice(status.lastIndexOf(')') + 2, status.lastIndexOf(')') + 3) !== 'Z';
}

async function isPostmasterOf(pid: number, dataDir: string): Promise<boolean> {
  const line = await readFile(`/proc/${String(pid)}/cmdline`, 'utf8').then(
    (text) => text,
    () => null,
  );
  // No /proc (macOS): the pid file's word, checked by the password at the door.
  if (line === null) return true;
  const args = line.split('\0');
  return args.includes(dataDir) && (args[0] ?? '').endsWith('postgres');
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
