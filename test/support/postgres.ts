/**
 * A throw-away real PostgreSQL for tests: the embedded server in a temporary directory, with the
 * roles of the store and a database `sealtrail`, migrated, without records.
 */
import { mkdtemp, chmod, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../bench/processes.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../store/embedded.ts';
import { seedCluster } from './cluster-template.ts';

export type TestRole = 'owner' | 'writer' | 'auditor' | 'retention' | 'legal' | 'admin';

export interface TestPostgres {
  /** Connection URL of a role; default the owner. `admin` is the superuser. */
  url(role?: TestRole): string;
  readonly port: number;
  readonly pid: number;
  /** Stops the server, connections and all, and starts it again on its port. */
  restart(): Promise<void>;
  /** Stops the server and removes its directory. */
  stop(): Promise<void>;
}

/** Starts a server of its own on a free port; under a second. Throws when it cannot. */
export async function startPostgres(): Promise<TestPostgres> {
  const root = await mkdtemp(join(tmpdir(), 'sealtrail-pg-'));
  await chmod(root, 0o755);
  await seedCluster(root);
  const start = async (port: number): Promise<EmbeddedPostgres> => {
    const started = await startEmbeddedPostgres({ dir: join(root, 'postgres'), port });
    if (started.ok) return started.value;
    await rm(root, { recursive: true, force: true });
    throw new Error(`${started.error.kind}: ${started.error.message}`);
  };
  // One that it finds free again after a stop.
  let server = await start(await freePort());
  const urls = {
    owner: server.ownerUrl,
    writer: server.writerUrl,
    auditor: server.auditorUrl,
    retention: server.retentionUrl,
    legal: server.legalUrl,
    admin: server.adminUrl,
  };
  return {
    url: (role = 'owner') => urls[role],
    port: server.port,
    pid: server.pid,
    restart: async () => {
      const { port } = server;
      await server.stop();
      server = await start(port);
      if (server.port !== port) throw new Error('the port was taken meanwhile');
    },
    stop: async () => {
      await server.stop();
      await rm(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** A client that is ended with its scope, and whose server may go away without a second failure. */
export async function connectTo(url: string): Promise<{ client: pg.Client } & AsyncDisposable> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}
