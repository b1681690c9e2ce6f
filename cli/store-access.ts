/** How commands that change the trail reach its store, and have the running agent record what they do. */
import { userInfo } from 'node:os';
import type { ClientBase } from 'pg';
import type { RecordedOperation } from '../agent/ports.ts';
import type { Config } from '../schemas/config.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { ok, messageOf, err, type Result } from '../schemas/result.ts';
import { createConnection, type DatabaseAddress } from '../store/connection.ts';
import { embeddedAddress, embeddedHome } from '../store/embedded-address.ts';
import { askAgent } from './options.ts';

export const STORE_OPTION = '--store <url>';
export const STORE_HELP =
  'connection URL of a PostgreSQL of your own (default: the embedded one of the data directory)';
export const BY_OPTION = '--by <name>';
export const BY_HELP = 'who does this, for the trail';

/** A step may wait for what others do in the store. */
const STATEMENT_TIMEOUT_MS = 600_000;

/** The name that the trail is told. */
export function defaultBy(): string {
  return userInfo().username;
}

/** Where the store is for a role; `url` is --store. */
export function storeAddress(
  dataDir: string,
  role: 'admin' | 'owner' | 'retention' | 'legal' | 'auditor',
  url: string | undefined,
): DatabaseAddress {
  return url ?? embeddedAddress(embeddedHome(dataDir), role);
}

/** Where the owner of a configuration's store is; `url` is --store. */
export function ownerAddress(
  config: Config,
  url: string | undefined,
): Result<DatabaseAddress, string> {
  const sink = config.exporters.find(({ type }) => type === 'postgresql');
  if (url !== undefined || (sink?.type === 'postgresql' && sink.embedded))
    return ok(storeAddress(config.data_dir, 'owner', url));
  if (sink?.type === 'postgresql' && sink.owner_url !== undefined) return ok(sink.owner_url);
  return err('name the owner of the store with --store, or as owner_url in the configuration');
}

/** Runs `body` with a connection; the error says what the database has against it. */
export async function withStore<T>(
  url: DatabaseAddress,
  body: (client: ClientBase) => Promise<Result<T, string>>,
  tls?: TlsClientConfig,
): Promise<Result<T, string>> {
  const connection = createConnection({
    url,
    ...(tls === undefined ? {} : { tls }),
    timeoutMs: STATEMENT_TIMEOUT_MS,
    applicationName: 'sealtrail',
  });
  try {
    return await body(await connection.client());
  } catch (error) {
    return err(`the store: ${messageOf(error)}`);
  } finally {
    connection.drop();
  }
}

/** Has the running agent record an operation; durable when it resolves. */
export async function recordOperation(
  dataDir: string,
  operation: object,
): Promise<Result<RecordedOperation, string>> {
  const asked = await askAgent(dataDir, 'POST', '/operation', JSON.stringify(operation));
  // The agent is of this build: its answer has this form.
  return asked.ok ? ok(asked.value as RecordedOperation) : asked;
}
