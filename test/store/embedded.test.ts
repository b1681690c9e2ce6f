/** The embedded server: survives its agent, is adopted, moves out of the way, runs for root. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/processes.ts';
import {
  startEmbeddedPostgres,
  stopOrphanedPostgres,
  type EmbeddedPostgres,
} from '../../store/embedded.ts';
import { portFileOf, writePort } from '../../store/embedded-port.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { until } from '../support/agent-peer.ts';
import { seedCluster } from '../support/cluster-template.ts';
import { testWhere } from '../support/host.ts';
import { connectTo } from '../support/postgres.ts';
import { processesOn } from '../support/processes.ts';
import { createSealer } from './sealed.ts';

let root: string;
let dir: string;
const messages: string[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sealtrail-embedded-'));
  await chmod(root, 0o755);
  dir = join(root, 'postgres');
  messages.length = 0;
});

afterEach(async () => {
  await stopOrphanedPostgres(dir);
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function start(port = 0): Promise<EmbeddedPostgres> {
  const started = await startEmbeddedPostgres({
    dir,
    port,
    log: (level, message) => messages.push(`${level}: ${message}`),
  });
  if (!started.ok) throw new Error(`${started.error.kind}: ${started.error.message}`);
  return started.value;
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return Object.values((await client.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function occupy(port: number): Promise<Server> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
  return taken;
}

test('it listens on loopback only, wants passwords, and is durable', async () => {
  const server = await start();
  expect(await ask(server.ownerUrl, 'SELECT current_user')).toBe('sealtrail_owner');
  expect(await ask(server.writerUrl, 'SELECT current_user')).toBe('sealtrail_writer');
  expect(await ask(server.auditorUrl, 'SELECT current_user')).toBe('sealtrail_auditor');
  for (const [setting, value] of [
    ['fsync', 'on'],
    ['full_page_writes', 'on'],
    ['synchronous_commit', 'on'],
    ['data_checksums', 'on'],
    ['listen_addresses', '127.0.0.1'],
    ['unix_socket_directories', ''],
    ['server_encoding', 'UTF8'],
  ] as const)
    expect([setting, await ask(server.adminUrl, `SHOW ${setting}`)]).toEqual([setting, value]);
  const open = new URL(server.ownerUrl);
  open.password = 'guess';
  await expect(ask(open.href, 'SELECT 1')).rejects.toThrow(/password/);
  expect(statSync(join(root, 'keys', 'postgres-passwords.json')).mode & 0o777).toBe(0o600);
  await server.stop();
  expect(isRunning(server.pid)).toBe(false);
});

test('the owner is no superuser', async () => {
  await seedCluster(root);
  const server = await start();
  const sql = `SELECT count(*)::int FROM pg_roles WHERE rolsuper AND rolname LIKE 'sealtrail%'
    AND rolname <> 'sealtrail_admin'`;
  expect(await ask(server.ownerUrl, sql)).toBe(0);
});

test('it runs in a process group of its own, so Ctrl-C does not reach it', async () => {
  await seedCluster(root);
  const server = await start();
  const stat = await readFile(`/proc/${server.pid}/stat`, 'utf8');
  const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
  expect(group).toBe(server.pid);
});

test('a server whose agent was killed before it wrote down the port is adopted, and its port is written down', async () => {
  await seedCluster(root);
  const first = await start();
  const portFile = join(dir, 'port');
  await rm(portFile);
  expect(await start()).toMatchObject({ adopted: true, port: first.port });
  expect(await readFile(portFile, 'utf8')).toBe(`${first.port}\n`);
});

test('a server left running by a killed agent is adopted, with its data', async () => {
  await seedCluster(root);
  const first = await start();
  const second = await start();
  expect(second).toMatchObject({ adopted: true, pid: first.pid, port: first.port });
  await second.stop();
  expect(isRunning(first.pid)).toBe(false);
});

/** A cluster whose port nobody else is given between two starts. */
async function seedWithPort(): Promise<void> {
  await seedCluster(root);
  await writePort(portFileOf(dir), await freePort());
}

test('after a kill -9 of the server itself what was confirmed is there', async () => {
  await seedWithPort();
  const first = await start();
  const store = createPostgresStore({ url: first.writerUrl, ownerUrl: first.ownerUrl });
  await store.migrate();
  const sealer = createSealer();
  const done = await store.appendRecords(Array.from({ length: 1_500 }, () => sealer.seal()));
  expect(done).toMatchObject({ ok: true, value: { stored: 1_500 } });
  process.kill(first.pid, 'SIGKILL');
  const second = await start();
  expect(second).toMatchObject({ adopted: false, port: first.port });
  expect(await ask(second.ownerUrl, 'SELECT count(*)::int FROM audit.events')).toBe(1_500);
  // The same store object connects again by itself; a first failure may tell it to.
  await expect.poll(async () => (await store.appendRecords([sealer.seal()])).ok).toBe(true);
  await store.close();
});

test('what a killed server has left and stands still is waited for', async () => {
  await seedCluster(root);
  const first = await start();
  const { client } = await connectTo(first.adminUrl);
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const backend = rows[0]?.pid ?? 0;
  process.kill(backend, 'SIGSTOP');
  process.kill(first.pid, 'SIGKILL');
  const starting = start();
  const log = join(dir, 'server.log');
  const refusals = (): number => readFileSync(log, 'utf8').split('is still in use').length - 1;
  try {
    await until(() => refusals() > 6, 'some starts to be refused');
  } finally {
    process.kill(backend, 'SIGCONT');
  }
  expect(await starting).toMatchObject({ adopted: false });
});

test('an orphan can be stopped without starting anything', async () => {
  await seedCluster(root);
  const server = await start();
  expect(await stopOrphanedPostgres(dir)).toBe(true);
  expect(isRunning(server.pid)).toBe(false);
  expect(await stopOrphanedPostgres(dir)).toBe(false);
});

test('the port is kept over restarts, and given up when somebody else has it', async () => {
  await seedWithPort();
  const first = await start();
  await first.stop();
  const again = await start();
  expect(again.port).toBe(first.port);
  await again.stop();
  const taken = await occupy(first.port);
  const moved = await start();
  expect(moved.port).not.toBe(first.port);
  expect(messages.join()).toContain('is taken');
  expect(await ask(moved.writerUrl, 'SELECT 1')).toBe(1);
  taken.close();
});

test('a pid file that names a stranger is no server of ours', async () => {
  await seedCluster(root);
  const first = await start();
  await first.stop();
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const data = join(dir, 'data');
  await writeFile(
    join(data, 'postmaster.pid'),
    `${stranger.pid}\n${data}\n1\n${first.port}\n\n127.0.0.1\n\nready\n`,
  );
  const second = await start();
  expect(second.adopted).toBe(false);
  expect(isRunning(stranger.pid ?? 0)).toBe(true);
  stranger.kill();
});

test('a first start that was killed half-way is made good', async () => {
  await mkdir(join(dir, 'data.new', 'base'), { recursive: true });
  await writeFile(join(dir, 'data.new', 'PG_VERSION'), '18\n');
  const server = await start();
  expect(await ask(server.ownerUrl, 'SELECT 1')).toBe(1);
});

test('a first start that is called off ends with all that it runs, and the next one makes it good', async () => {
  const off = new AbortController();
  const started = startEmbeddedPostgres({ dir, port: 0, signal: off.signal });
  await expect.poll(() => existsSync(join(dir, 'data.new', 'base')), { interval: 1 }).toBe(true);
  off.abort();
  expect(await started).toMatchObject({ ok: false, error: { kind: 'init' } });
  expect(await processesOn(dir)).toEqual([]);
  expect(existsSync(join(dir, 'data'))).toBe(false);
  expect(await ask((await start()).ownerUrl, 'SELECT 1')).toBe(1);
});

test('with the password file lost, the next start sets new passwords', async () => {
  await seedCluster(root);
  const first = await start();
  await first.stop();
  await rm(join(root, 'keys'), { recursive: true });
  const second = await start();
  expect(second.ownerUrl).not.toBe(first.ownerUrl);
  expect(await ask(second.ownerUrl, 'SELECT 1')).toBe(1);
});

test('a path too long for a unix socket is no trouble', async () => {
  dir = join(root, 'd'.repeat(100), 'e'.repeat(100), 'postgres');
  const server = await start();
  expect(await ask(server.ownerUrl, 'SELECT 1')).toBe(1);
});

const testRoot = testWhere(process.getuid?.() === 0, 'the embedded server of root: not root here');
describe('as root', () => {
  testRoot('data below a directory that only root may enter works', async () => {
    const closed = join(root, 'closed');
    await mkdir(closed, { mode: 0o700 });
    dir = join(closed, 'data', 'postgres');
    const server = await start();
    expect(await ask(server.ownerUrl, 'SELECT 1')).toBe(1);
    expect(statSync(join(dir, 'data')).uid).toBe(0);
    await server.stop();
    expect(existsSync(join(dir, 'data', 'postmaster.pid'))).toBe(false);
  });

  testRoot(
    'data that moves from a closed to an open directory changes its user and stays',
    async () => {
      await chmod(root, 0o700);
      const first = await start();
      await first.stop();
      await chmod(root, 0o755);
      const second = await start();
      const status = await readFile(`/proc/${second.pid}/status`, 'utf8');
      const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
      expect(statSync(join(dir, 'data')).uid).toBe(uid);
      expect(uid).not.toBe(0);
      expect(await ask(second.ownerUrl, 'SELECT 1')).toBe(1);
    },
  );
});
