/**
 * The store of record in PostgreSQL: one connection, one transaction a batch. A batch that the
 * database refuses for its data is halved until the record at fault stands alone; everything else
 * of it is stored.
 */
import type { ClientBase } from 'pg';
import type { TlsClientConfig } from '../schemas/config.ts';
import { assertNever, err, ok, type Result } from '../schemas/result.ts';
import { appendRows, type RowsOutcome } from './append.ts';
import { createConnection, type Connection } from './connection.ts';
import { classifyDatabaseError } from './database-error.ts';
import { applyMigrations, readMigrations } from './migrate.ts';
import { createPartitionMaker, type PartitionMaker } from './partitions.ts';
import { occurredAtMs, type Row } from './rows.ts';
import type { AppendSummary, Store, StoredRecord, StoreError } from './store.ts';

export interface PostgresStoreOptions {
  /** Connection URL of a login with the rights of sealtrail_writer. */
  readonly url: string;
  /** Connection URL of sealtrail_owner; needed by migrate() only. */
  readonly ownerUrl?: string;
  readonly tls?: TlsClientConfig;
  /** Longest wait for one statement; default 60,000. */
  readonly timeoutMs?: number;
}

/** What one connection's worth of state is; all of it is forgotten with the connection. */
interface Session {
  readonly connection: Connection;
  readonly partitions: PartitionMaker;
  readonly streamIds: Map<string, number>;
}

const RACES_MAX = 5;

/** Creates a store; connects at the first call. */
export function createPostgresStore(options: PostgresStoreOptions): Store {
  const session: Session = {
    connection: createConnection(options),
    partitions: createPartitionMaker(),
    streamIds: new Map(),
  };
  return {
    migrate: () => migrate(options),
    appendRecords: async (records, signal) => {
      const stop = (): void => void session.connection.drop();
      signal?.addEventListener('abort', stop, { once: true });
      try {
        return await appendBatch(session, records, signal);
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    },
    close: () => session.connection.drop(),
  };
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

async function appendBatch(
  session: Session,
  records: readonly StoredRecord[],
  signal: AbortSignal | undefined,
): Promise<Result<AppendSummary, StoreError>> {
  const total = { stored: 0, repeated: 0, duplicates: 0 };
  const refused: AppendSummary['refused'][number][] = [];
  // A stack of ranges [from, to): usually one; after a data error its halves.
  const ranges: [number, number][] = records.length === 0 ? [] : [[0, records.length]];
  let races = 0;
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
    const [from, to] = range;
    if (signal?.aborted === true) return err({ kind: 'unavailable', message: 'aborted' });
    const outcome = await tryRange(session, records, from, to);
    if (outcome.ok) {
      total.stored += outcome.value.stored;
      total.repeated += outcome.value.repeated;
      total.duplicates += outcome.value.duplicates;
      refused.push(...outcome.value.refused);
      continue;
    }
    const failure = outcome.error;
    switch (failure.kind) {
      case 'raced':
        races += 1;
        if (races > RACES_MAX) return err({ kind: 'unavailable', message: failure.message });
        ranges.push(range);
        break;
      case 'data': {
        if (to - from === 1) {
          refused.push({ index: from, kind: 'poison', reason: failure.message });
          break;
        }
        const middle = from + Math.ceil((to - from) / 2);
        ranges.push([middle, to], [from, middle]);
        break;
      }
      case 'unavailable':
      case 'schema':
      case 'access':
        await forget(session);
        return err({ kind: failure.kind, message: failure.message });
      default:
        return assertNever(failure);
    }
  }
  return ok({ ...total, refused });
}

async function tryRange(
  session: Session,
  records: readonly StoredRecord[],
  from: number,
  to: number,
): Promise<Result<RowsOutcome, ReturnType<typeof classifyDatabaseError>>> {
  try {
    const client = await session.connection.client();
    const batch = records.slice(from, to);
    await session.partitions.ensure(client, batch.map(occurredAtMs));
    await learnStreams(client, session.streamIds, batch);
    const rows = batch.map((record, place): Row => ({
      index: from + place,
      record,
      streamId: session.streamIds.get(record.event.chain.stream) ?? 0,
      duplicate: false,
    }));
    return ok(await appendRows(client, rows));
  } catch (error) {
    return err(classifyDatabaseError(error));
  }
}

/** Another database may answer after a reconnect: nothing learnt from this one holds. */
async function forget(session: Session): Promise<void> {
  session.streamIds.clear();
  session.partitions.forget();
  await session.connection.drop();
}

/** Gives every stream of the batch its number. */
async function learnStreams(
  client: ClientBase,
  ids: Map<string, number>,
  batch: readonly StoredRecord[],
): Promise<void> {
  const unknown = new Map<string, string>();
  for (const { event } of batch) {
    if (!ids.has(event.chain.stream)) unknown.set(event.chain.stream, event.resource.tenant_id);
  }
  if (unknown.size === 0) return;
  const names = [...unknown.keys()];
  await client.query(
    `INSERT INTO audit.streams (stream, tenant_id)
     SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING`,
    [names, [...unknown.values()]],
  );
  const found = await client.query<{ stream: string; stream_id: number }>(
    'SELECT stream, stream_id FROM audit.streams WHERE stream = ANY ($1::text[])',
    [names],
  );
  for (const row of found.rows) ids.set(row.stream, row.stream_id);
}
