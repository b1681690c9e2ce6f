/**
 * One connection to PostgreSQL, opened when needed and dropped after every error that leaves its
 * state in doubt. TLS files are read at each connect, so that renewed certificates are taken up.
 */
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { TlsClientConfig } from '../schemas/config.ts';

/** A connection URL, or where to ask for it at each connect. */
export type DatabaseAddress = string | (() => Promise<string>);

export interface ConnectionOptions {
  readonly url: DatabaseAddress;
  readonly tls?: TlsClientConfig;
  /** Longest wait for one statement; default 60,000. */
  readonly timeoutMs?: number;
  readonly applicationName?: string;
}

export interface Connection {
  /** The open client, connecting first where needed; throws what connecting throws. */
  client(): Promise<pg.Client>;
  /** Ends the connection at once; a running statement fails. */
  drop(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;

/** Creates a connection that is not open yet. */
export function createConnection(options: ConnectionOptions): Connection {
  let open: pg.Client | null = null;

  const drop = async (): Promise<void> => {
    const client = open;
    open = null;
    // The connection may be dead already: there is nothing left to learn from how it ends.
    await client?.end().catch(() => undefined);
  };

  return {
    client: async () => {
      if (open !== null) return open;
      const client = new pg.Client({
        connectionString: typeof options.url === 'string' ? options.url : await options.url(),
        ...(options.tls === undefined ? {} : { ssl: await readTls(options.tls) }),
        application_name: options.applicationName ?? 'sealtrail',
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        query_timeout: options.timeoutMs ?? STATEMENT_TIMEOUT_MS,
        keepAlive: true,
      });
      // Between two statements a lost connection only means: connect again.
      client.on('error', () => {
        if (open === client) open = null;
      });
      try {
        await client.connect();
        await client.query(SESSION);
      } catch (error) {
        await client.end().catch(() => undefined);
        throw error;
      }
      open = client;
      return client;
    },
    drop,
  };
}

/** work_mem holds a batch's arrays in memory; what is confirmed must be on disk, whatever the default. */
const SESSION = `
SET work_mem = '64MB';
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local')`;

interface TlsFiles {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
  servername?: string;
  rejectUnauthorized: boolean;
}

async function readTls(tls: TlsClientConfig): Promise<TlsFiles> {
  return {
    rejectUnauthorized: !tls.insecure_skip_verify,
    ...(tls.ca_file === undefined ? {} : { ca: await readFile(tls.ca_file) }),
    ...(tls.cert_file === undefined ? {} : { cert: await readFile(tls.cert_file) }),
    ...(tls.key_file === undefined ? {} : { key: await readFile(tls.key_file) }),
    ...(tls.server_name === undefined ? {} : { servername: tls.server_name }),
  };
}
