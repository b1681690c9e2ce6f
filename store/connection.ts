/**
 * One connection to PostgreSQL, opened when needed and dropped after every error that leaves its
 * state in doubt. TLS files are read at each connect, so that renewed certificates are taken up.
 */
import { checkServerIdentity, type ConnectionOptions as TlsOptions } from 'node:tls';
import pg from 'pg';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { readTls } from './tls-files.ts';

/** A connection URL, or where to ask for it at each connect. */
export type DatabaseAddress = string | (() => Promise<string>);

export interface ConnectionOptions {
  readonly url: DatabaseAddress;
  readonly tls?: TlsClientConfig;
  /** Longest wait for one statement; default 60,000. */
  readonly timeoutMs?: number;
  readonly applicationName?: string;
  /** Whether queries are sent at once; default true. */
  readonly pipeline?: boolean;
  /** Refuses a server that does not keep what it has confirmed; default false. */
  readonly isToKeep?: boolean;
}

export interface Connection {
  /**
   * The open client, connecting first where needed; throws what connecting throws. It pipelines, if
   * not told otherwise: queries are sent at once, and answered in order.
   */
  client(): Promise<pg.Client>;
  /** Ends the connection at once, also one that is being opened; running statements fail. */
  drop(): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;

/** Creates a connection that is not open yet. */
export function createConnection(options: ConnectionOptions): Connection {
  let link: Link | null = null;
  return {
    client: async () => {
      const mine: Link = link ?? openLink(options, () => forget(mine));
      link = mine;
      try {
        return await mine.ready;
      } catch (error) {
        forget(mine);
        throw error;
      }
    },
    drop: () => {
      link?.end();
      link = null;
    },
  };

  function forget(lost: Link): void {
    if (link === lost) link = null;
  }
}

interface Link {
  readonly ready: Promise<pg.Client>;
  end(): void;
}

function openLink(options: ConnectionOptions, onLost: () => void): Link {
  const ending = new AbortController();

  async function open(): Promise<pg.Client> {
    const client = new pg.Client(await configOf(options));
    // Between two statements a lost connection only means: connect again.
    client.on('error', onLost);
    // Not client.end(): it waits for the peer, and whoever waits for connect() would wait for ever.
    const hangUp = (): void => void client.connection.stream.destroy(new Error(CLOSED));
    ending.signal.throwIfAborted();
    ending.signal.addEventListener('abort', hangUp);
    try {
      await client.connect();
      await client.query(SESSION);
      if (options.isToKeep === true) await refuseForgetful(client);
      return client;
    } catch (error) {
      hangUp();
      throw error;
    }
  }

  return { ready: open(), end: () => ending.abort(new Error(CLOSED)) };
}

const CLOSED = 'the connection was closed';

/** work_mem holds a batch's arrays in memory; what is confirmed must be on disk, whatever the default. */
const SESSION = `
SET work_mem = '64MB';
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local')`;

/** Segments leave the ledger once the store has them: what it confirms must outlast a power cut. */
async function refuseForgetful(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ fsync: string }>('SHOW fsync');
  if (rows[0]?.fsync === 'off')
    throw new Error('the server runs with fsync = off, so a power cut takes back what it confirms');
}

async function configOf(options: ConnectionOptions): Promise<pg.ClientConfig> {
  const url = typeof options.url === 'string' ? options.url : await options.url();
  return {
    ...(options.tls === undefined
      ? { connectionString: url }
      : {
          connectionString: withoutSslParameters(url),
          ssl: { ...(await readTls(options.tls)), ...identityOf(options.tls) },
        }),
    application_name: options.applicationName ?? 'sealtrail',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: options.timeoutMs ?? STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    pipeline: options.pipeline ?? true,
  };
}

/** In pg a `sslmode` of the URL would silently replace the configured TLS, down to none at all. */
function withoutSslParameters(url: string): string {
  const parsed = new URL(url);
  for (const name of [...parsed.searchParams.keys()])
    if (name.startsWith('ssl')) parsed.searchParams.delete(name);
  return parsed.href;
}

/** pg puts the host of the URL in the place of servername, so the check of another name has to be ours. */
function identityOf({
  server_name: name,
}: TlsClientConfig): Pick<TlsOptions, 'checkServerIdentity'> {
  if (name === undefined) return {};
  return { checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate) };
}
