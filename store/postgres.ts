/**
 * The store of record in PostgreSQL: migrations through the owner, records through the writer over
 * one or more connections. See lane.ts for a batch and append.ts for a transaction.
 */
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
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
  /** Connections that share a large batch; default 3. */
  readonly connections?: number;
}

/** So many that a commit is cheap, so few that the lanes are done at about the same time. */
const TRANSACTION_RECORDS = 1_000;
/** Its arrays must fit a message, and its statements their timeout. */
const TRANSACTION_CHARACTERS = 8 * 1024 * 1024;
/** PostgreSQL uses one core a connection; one more is busy while others wait for the disk. */
const LANES_DEFAULT = 3;

/** Creates a store; connects at the first call. */
export function createPostgresStore(options: PostgresStoreOptions): Store {
  const lanes = Array.from({ length: Math.max(1, options.connections ?? LANES_DEFAULT) }, () =>
    createLane(createConnection({ ...options, isToKeep: true })),
  );
  const drop = (): void => {
    for (const lane of lanes) lane.drop();
  };
  return {
    migrate: () => migrate(options),
    appendRecords: async (records, signal) => {
      signal?.addEventListener('abort', drop, { once: true });
      try {
        return await appendLinked(lanes, records, signal);
      } finally {
        signal?.removeEventListener('abort', drop);
      }
    },
    close: async () => drop(),
  };
}

/** Leaves out what stands on another branch than the store: nothing is ever chained across two. */
async function appendLinked(
  lanes: readonly Lane[],
  records: readonly StoredRecord[],
  signal: AbortSignal | undefined,
): Promise<Result<AppendSummary, StoreError>> {
  const found = (await lanes[0]?.findStrays(records)) ?? ok([]);
  if (!found.ok) return found;
  const strays = new Set(found.value.map(({ index }) => index));
  if (strays.size === 0) return appendInLanes(lanes, records, signal);
  const kept = [...records.keys()].filter((index) => !strays.has(index));
  const appended = await appendInLanes(
    lanes,
    kept.flatMap((index) => records[index] ?? []),
    signal,
  );
  if (!appended.ok) return appended;
  const refused = appended.value.refused.map((one) => ({ ...one, index: kept[one.index] ?? 0 }));
  return ok({ ...appended.value, refused: sortByIndex([...refused, ...found.value]) });
}

function sortByIndex(refused: readonly RefusedRecord[]): readonly RefusedRecord[] {
  return refused.toSorted((one, other) => one.index - other.index);
}

/** Cuts a large batch into transactions, which the lanes take as they get done with the last one. */
async function appendInLanes(
  lanes: readonly Lane[],
  records: readonly StoredRecord[],
  signal: AbortSignal | undefined,
): Promise<Result<AppendSummary, StoreError>> {
  const ranges = cutRanges(records);
  const sum = { stored: 0, repeated: 0, duplicates: 0 };
  const refused: RefusedRecord[] = [];
  let failure: StoreError | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  async function work(lane: Lane): Promise<void> {
    for (let range = ranges.shift(); range !== undefined; range = ranges.shift()) {
      // One lane encodes at a time, and between two the event loop runs: what is encoded leaves.
      turn = turn.then(() => new Promise(setImmediate));
      await turn;
      const outcome = await lane.append(records, ...range, signal);
      if (!outcome.ok) {
        failure = outcome.error;
        // The batch will be sent again: the rest of it need not be tried.
        ranges.length = 0;
        return;
      }
      sum.stored += outcome.value.stored;
      sum.repeated += outcome.value.repeated;
      sum.duplicates += outcome.value.duplicates;
      refused.push(...outcome.value.refused);
    }
  }

  await Promise.all(lanes.map(work));
  if (failure !== null) return err(failure);
  return ok({ ...sum, refused: sortByIndex(refused) });
}

/** Ranges [from, to), each of them one transaction. */
function cutRanges(records: readonly StoredRecord[]): [number, number][] {
  const ranges: [number, number][] = [];
  let from = 0;
  let characters = 0;
  for (const [at, { eventText }] of records.entries()) {
    characters += eventText.length;
    const isFull = at - from === TRANSACTION_RECORDS || characters > TRANSACTION_CHARACTERS;
    if (!isFull || at === from) continue;
    ranges.push([from, at]);
    from = at;
    characters = eventText.length;
  }
  if (from < records.length) ranges.push([from, records.length]);
  return ranges;
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
    connection.drop();
  }
}
