/**
 * One lane of the writer: a connection and what has been learnt over it. A range that the database
 * refuses for its data is halved until the record at fault stands alone; the rest is stored.
 */
import type { ClientBase } from 'pg';
import { assertNever, err, ok, type Result } from '../schemas/result.ts';
import { appendRows, type RowsOutcome } from './append.ts';
import { findStrays } from './branches.ts';
import type { Connection } from './connection.ts';
import { classifyDatabaseError } from './database-error.ts';
import { createPartitionMaker, type PartitionMaker } from './partitions.ts';
import { occurredAtMs, type Row } from './rows.ts';
import type { AppendSummary, RefusedRecord, StoredRecord, StoreError } from './store.ts';

export interface Lane {
  /** Stores records [from, to); each range tried is one transaction. */
  append(
    records: readonly StoredRecord[],
    from: number,
    to: number,
    signal: AbortSignal | undefined,
  ): Promise<Result<AppendSummary, StoreError>>;
  /** Records that would be chained to others than the store has. */
  findStrays(
    records: readonly StoredRecord[],
  ): Promise<Result<readonly RefusedRecord[], StoreError>>;
  /** Ends the connection at once; running statements fail. */
  drop(): void;
}

/** What one connection's worth of state is; all of it is forgotten with the connection. */
interface Session {
  readonly connection: Connection;
  readonly partitions: PartitionMaker;
  readonly streamIds: Map<string, number>;
}

const RACES_MAX = 5;

/** Creates a lane over a connection that only it uses. */
export function createLane(connection: Connection): Lane {
  const session: Session = {
    connection,
    partitions: createPartitionMaker(),
    streamIds: new Map(),
  };
  return {
    append: (records, from, to, signal) => appendRange(session, records, [from, to], signal),
    findStrays: async (records) => {
      try {
        return ok(await findStrays(await connection.client(), records));
      } catch (error) {
        forget(session);
        const { kind, message } = classifyDatabaseError(error);
        return err({
          kind: kind === 'schema' || kind === 'access' ? kind : 'unavailable',
          message,
        });
      }
    },
    drop: () => connection.drop(),
  };
}

async function appendRange(
  session: Session,
  records: readonly StoredRecord[],
  whole: [number, number],
  signal: AbortSignal | undefined,
): Promise<Result<AppendSummary, StoreError>> {
  const total = { stored: 0, repeated: 0, duplicates: 0 };
  const refused: AppendSummary['refused'][number][] = [];
  // A stack of ranges [from, to): usually one; after a data error its halves.
  const ranges: [number, number][] = [whole];
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
      case 'purged':
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
        forget(session);
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
    await session.partitions.ensure(
      client,
      batch.map(({ event }) => occurredAtMs(event)),
    );
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
function forget(session: Session): void {
  session.streamIds.clear();
  session.partitions.forget();
  session.connection.drop();
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
