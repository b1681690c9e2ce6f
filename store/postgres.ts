/**
 * The store of record in PostgreSQL: migrations through the owner, records through the writer over
 * one or more connections. See lane.ts for a batch and append.ts for a transaction.
 */
import type { TlsClientConfig } from '../schemas/config.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { createConnection, type DatabaseAddress } from './connection.ts';
import { classifyDatabaseError } from './database-error.ts';
import { createLane, type Lane } from './lane.ts';
import { applyMigrations, readMigrations } from './migrate.ts';
import type { AppendSummary, RefusedRecord, Store, StoredRecord, StoreError } from './store.ts';

export interface PostgresStoreOptions {
  /** Connection URL of a login with the rights of sealtrail_writer. */
  readonly url: DatabaseAddress;
  /** Connection URL of sealtrail_owner; needed by migrate() only. */
  readonly ownerUrl?: DatabaseAddress;
  readonly tls?: TlsClientConfig;
  /** Longest wait for one statement; default 60,000. */
  readonly timeoutMs?: number;
  /** Connections that share a large batch; default 2. */
  readonly connections?: number;
}

/** Below this many records a lane, a second transaction costs more than it gains. */
const RECORDS_PER_LANE_MIN = 500;
const LANES_DEFAULT = 2;

/** Creates a store; connects at the first call. */
export function createPostgresStore(options: PostgresStoreOptions): Store {
  const lanes = Array.from({ length: Math.max(1, options.connections ?? LANES_DEFAULT) }, () =>
    createLane(createConnection(options)),
  );
  const drop = async (): Promise<void> => {
    await Promise.all(lanes.map((lane) => lane.drop()));
  };
  return {
    migrate: () => migrate(options),
    appendRecords: async (records, signal) => {
      const stop = (): void => void drop();
      signal?.addEventListener('abort', stop, { once: true });
      try {
        return await appendInLanes(lanes, records, signal);
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    },
    close: drop,
  };
}

/** Cuts a large batch into one transaction a lane: PostgreSQL uses one core a connection. */
async function appendInLanes(
  lanes: readonly Lane[],
  records: readonly StoredRecord[],
  signal: AbortSignal | undefined,
): Promise<Result<AppendSummary, StoreError>> {
  if (records.length === 0) return ok({ stored: 0, repeated: 0, duplicates: 0, refused: [] });
  const used = Math.min(lanes.length, Math.ceil(records.length / RECORDS_PER_LANE_MIN));
  const share = Math.ceil(records.length / used);
  const outcomes = await Promise.all(
    lanes
      .slice(0, used)
      .map((lane, place) =>
        lane.append(
          records,
          Math.min(place * share, records.length),
          Math.min((place + 1) * share, records.length),
          signal,
        ),
      ),
  );
  const sum = { stored: 0, repeated: 0, duplicates: 0 };
  const refused: RefusedRecord[] = [];
  for (const outcome of outcomes) {
    if (!outcome.ok) return outcome;
    sum.stored += outcome.value.stored;
    sum.repeated += outcome.value.repeated;
    sum.duplicates += outcome.value.duplicates;
    refused.push(...outcome.value.refused);
  }
  return ok({ ...sum, refused });
}

async function migrate(
  options: PostgresStoreOptions,
): Promise<Result<{ readonly applied: readonly string[] }, StoreError>> {
  if (options.ownerUrl === undefined)
    return err({
      kind: 'access',
      message: 'migrations need owner_url, the connection URL of sealtrail_owner',
    });
  const connection = createConnection({
    ...options,
    url: options.ownerUrl,
    applicationName: 'sealtrail migrate',
  });
  try {
    return await applyMigrations(await connection.client(), await readMigrations());
  } catch (error) {
    const { kind, message } = classifyDatabaseError(error);
    return err({ kind: kind === 'unavailable' || kind === 'access' ? kind : 'schema', message });
  } finally {
    await connection.drop();
  }
}
