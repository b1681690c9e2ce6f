/** The peers of the ingest benchmark, started when they are installed. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../store/embedded.ts';
import { freePort, stopChild, waitFor } from './processes.ts';
import type { TargetSpec } from './targets.ts';

export interface Peer {
  readonly target: TargetSpec;
  /** Null where several processes do the work. */
  readonly pid: number | null;
  stop(): Promise<void>;
}

/** The same PostgreSQL that the agent embeds, with its durable settings. */
export async function startPostgresql(
  dir: string,
  say: (line: string) => void,
): Promise<Peer | null> {
  const home = join(dir, 'postgresql');
  await mkdir(home, { recursive: true });
  const started = await startEmbeddedPostgres({
    dir: join(home, 'data'),
    port: 0,
    passwordFile: join(home, 'passwords.json'),
    maxConnections: 100,
  });
  if (!started.ok) {
    say(`postgresql: not measured, ${started.error.message}`);
    return null;
  }
  const client = new pg.Client({ connectionString: started.value.ownerUrl });
  await client.connect();
  await client.query(
    'CREATE TABLE bench_audit (id text PRIMARY KEY, at timestamptz DEFAULT now(), payload jsonb)',
  );
  await client.end();
  return {
    target: { kind: 'postgresql', address: started.value.ownerUrl },
    pid: null,
    stop: () => started.value.stop(),
  };
}

/** Redis with an append-only file that is fsynced on every write. */
export async function startRedis(dir: string, say: (line: string) => void): Promise<Peer | null> {
  const binary = ['/usr/bin/redis-server', '/usr/local/bin/redis-server'].find(existsSync);
  if (binary === undefined) {
    say('redis: not measured, redis-server is not installed');
    return null;
  }
  const port = await freePort();
  const home = join(dir, 'redis');
  await mkdir(home, { recursive: true });
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    home,
    '--save',
    '',
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
  ];
  const child = spawn(binary, options, { stdio: 'ignore' });
  await waitFor(async () => {
    const socket = connect(port, '127.0.0.1');
    const connected = await new Promise<boolean>((done) => {
      socket.once('connect', () => done(true));
      socket.once('error', () => done(false));
    });
    socket.destroy();
    return connected;
  }, child);
  return {
    target: { kind: 'redis', address: String(port) },
    pid: child.pid ?? null,
    stop: () => stopChild(child, 'SIGTERM'),
  };
}
