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
  /** Ends the connection at once, also one that is being opened; a running statement fails. */
  drop(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** A peer that is gone never answers the goodbye. */
const GOODBYE_MS = 1_000;

/** Creates a connection that is not open yet. */
export function createConnection(options: ConnectionOptions): Connection {
  let open: pg.Client | null = null;
  let opening: pg.Client | null = null;
  let drops = 0;

  async function connect(): Promise<pg.Client> {
    const dropsBefore = drops;
    const client = new pg.Client(await configOf(options));
    // Between two statements a lost connection only means: connect again.
    client.on('error', () => {
      if (open === client) open = null;
    });
    try {
      opening = client;
      if (drops === dropsBefore) await client.connect();
      if (drops !== dropsBefore) throw new Error('the connection was closed while it was opened');
      await client.query(SESSION);
    } catch (error) {
      await hangUp(client);
      throw error;
    } finally {
      opening = null;
    }
    open = client;
    return client;
  }

  return {
    client: async () => open ?? connect(),
    drop: async () => {
      drops += 1;
      const client = open;
      open = null;
      // end() would leave the one who waits for the connection waiting for ever.
      opening?.connection.stream.destroy(new Error('the connection was closed'));
      if (client !== null) await hangUp(client);
    },
  };
}

/** There is nothing left to learn from how a connection ends: it may be dead already. */
async function hangUp(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => client.connection.stream.destroy(), GOODBYE_MS);
  await Promise.allSettled([client.end()]);
  clearTimeout(timer);
}

/** work_mem holds a batch's arrays in memory; what is confirmed must be on disk, whatever the default. */
const SESSION = `
SET work_mem = '64MB';
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local')`;

async function configOf(options: ConnectionOptions): Promise<pg.ClientConfig> {
  const url = typeof options.url === 'string' ? options.url : await options.url();
  return {
    ...(options.tls === undefined
      ? { connectionString: url }
      : { connectionString: withoutSslParameters(url), ssl: await readTls(options.tls) }),
    application_name: options.applicationName ?? 'sealtrail',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: options.timeoutMs ?? STATEMENT_TIMEOUT_MS,
    keepAlive: true,
  };
}

/** In pg a `sslmode` of the URL would silently replace the configured TLS, down to none at all. */
function withoutSslParameters(url: string): string {
  const parsed = new URL(url);
  for (const name of [...parsed.searchParams.keys()])
    if (name.startsWith('ssl')) parsed.searchParams.delete(name);
  return parsed.href;
}

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
