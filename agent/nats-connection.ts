/**
 * Connects to NATS: TLS files, credentials and nkey seeds are read at each connect, so that renewed ones
 * are taken up. The client is loaded here, and only where a configuration asks for NATS.
 */
import { readFile } from 'node:fs/promises';
import type * as natsClient from '@nats-io/transport-node';
import type { Authenticator, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import type { NatsConnectionConfig, TlsClientConfig } from '../schemas/exporter-config.ts';

export interface NatsConnectOptions {
  readonly config: NatsConnectionConfig;
  /** Shown by the server's monitoring. */
  readonly name: string;
  readonly timeoutMs: number;
}

/** Connects once; a connection that is lost is closed, not mended. Throws what connecting throws. */
export async function connectToNats(options: NatsConnectOptions): Promise<NatsConnection> {
  const { config, name, timeoutMs } = options;
  const nats = await import('@nats-io/transport-node');
  const authenticator = await readAuthenticator(config, nats);
  return nats.connect({
    servers: [...config.servers],
    name,
    timeout: timeoutMs,
    reconnect: false,
    // Half a minute of silence is a server that is gone, not one that has nothing to say.
    pingInterval: 10_000,
    noAsyncTraces: true,
    inboxPrefix: config.inbox_prefix,
    ...(authenticator === null ? {} : { authenticator }),
    ...(await readTls(config)),
  });
}

type Authenticators = Pick<
  typeof natsClient,
  | 'credsAuthenticator'
  | 'nkeyAuthenticator'
  | 'tokenAuthenticator'
  | 'usernamePasswordAuthenticator'
>;

async function readAuthenticator(
  config: NatsConnectionConfig,
  nats: Authenticators,
): Promise<Authenticator | null> {
  const { username, password, token, creds_file: credsFile, nkey_file: nkeyFile } = config;
  if (credsFile !== undefined) return nats.credsAuthenticator(await readFile(credsFile));
  if (nkeyFile !== undefined) {
    const seed = (await readFile(nkeyFile, 'utf8')).trim();
    return nats.nkeyAuthenticator(new TextEncoder().encode(seed));
  }
  if (token !== undefined) return nats.tokenAuthenticator(token);
  if (username !== undefined) return nats.usernamePasswordAuthenticator(username, password);
  return null;
}

/** null refuses TLS where nobody asked for it; with tls:// or a section it is required. */
async function readTls(config: NatsConnectionConfig): Promise<Pick<NodeConnectionOptions, 'tls'>> {
  const isAsked = config.servers.some((server) => server.startsWith('tls:'));
  if (config.tls === undefined) return isAsked ? { tls: {} } : {};
  return { tls: await readFiles(config.tls) };
}

async function readFiles(
  tls: TlsClientConfig,
): Promise<Exclude<NodeConnectionOptions['tls'], undefined>> {
  const [ca, cert, key] = await Promise.all(
    [tls.ca_file, tls.cert_file, tls.key_file].map((file) =>
      file === undefined ? undefined : readFile(file, 'utf8'),
    ),
  );
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tls.server_name === undefined ? {} : { servername: tls.server_name }),
    rejectUnauthorized: !tls.insecure_skip_verify,
  };
}

/** The number that JetStream's API gives to an error; undefined for any other. */
export function codeOfApi(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
