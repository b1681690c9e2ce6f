/**
 * The sink of the store of record: hands batches to the PostgreSQL store and tells the delivery
 * loop what came of each record. A fork is poison too, but one to look into: somebody else wrote
 * this place in the stream. Migrations run before the first batch, so that a database that is down
 * when the agent starts costs nothing but time.
 */
import { existsSync } from 'node:fs';
import type { PostgresqlExporterConfig } from '../../../schemas/exporter-config.ts';
import { embeddedAddress, embeddedHome } from '../../../store/embedded-address.ts';
import { portFileOf } from '../../../store/embedded-port.ts';
import { createPostgresStore } from '../../../store/postgres.ts';
import type { Store, StoreError } from '../../../store/store.ts';
import type { DeliveryResult, Fork, Logger, Sink } from '../../ports.ts';
import { pause, realTiming } from '../timing.ts';

type SinkLog = Pick<Logger, 'info' | 'error'>;

/** A first start makes the database: longer than this, and it is trouble that is told as such. */
const FIRST_START_MS = 60_000;
const LOOK_MS = 50;

/** Opens the sink of a configuration: on the embedded server of `dataDir`, or on an own database. */
export function openPostgresqlSink(
  config: PostgresqlExporterConfig,
  {
    dataDir,
    log,
    onFork,
  }: {
    readonly dataDir: string;
    readonly log: SinkLog;
    readonly onFork: (fork: Fork) => void;
  },
): Sink {
  const { url, owner_url: ownerUrl, tls, timeout_ms: timeoutMs } = config;
  const home = embeddedHome(dataDir);
  const store = config.embedded
    ? createPostgresStore({
        url: embeddedAddress(home, 'writer'),
        ownerUrl: embeddedAddress(home, 'owner'),
        timeoutMs,
      })
    : createPostgresStore({
        url: url ?? '',
        ...(ownerUrl === undefined ? {} : { ownerUrl }),
        ...(tls === undefined ? {} : { tls }),
        timeoutMs,
      });
  return createPostgresqlSink(config.name, store, {
    log,
    onFork,
    migrates: config.embedded || ownerUrl !== undefined,
    ...(config.embedded && { whenUp: (signal: AbortSignal) => whenFirstUp(home, log, signal) }),
  });
}

/** Creates the sink over a store, which it closes with itself. Idempotent per record. */
export function createPostgresqlSink(
  name: string,
  store: Store,
  options: {
    readonly log?: SinkLog;
    readonly onFork?: (fork: Fork) => void;
    readonly migrates?: boolean;
    /** Awaited before each batch. */
    readonly whenUp?: (signal: AbortSignal) => Promise<void>;
  } = {},
): Sink {
  const { log } = options;
  let isMigrated = options.migrates !== true;

  async function migrate(): Promise<StoreError | null> {
    const migrated = await store.migrate();
    if (!migrated.ok) return migrated.error;
    isMigrated = true;
    const { applied } = migrated.value;
    if (applied.length > 0) log?.info({ sink: name, migrations: applied.length }, 'migrated');
    return null;
  }

  async function deliver(
    records: Parameters<Sink['deliver']>[0],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    await options.whenUp?.(signal);
    const obstacle = isMigrated ? null : await migrate();
    if (obstacle !== null) return failed(obstacle);
    const appended = await store.appendRecords(records, signal);
    if (!appended.ok) return failed(appended.error);
    const { refused } = appended.value;
    const forks = refused.filter((one) => one.kind === 'fork');
    if (forks.length > 0)
      log?.error(
        { sink: name, forks: forks.length, first: forks[0]?.reason },
        'the store holds other records at these places of the stream: a fork',
      );
    const last = forks.at(-1);
    const stream = records[last?.index ?? -1]?.event.chain.stream;
    if (last !== undefined && stream !== undefined)
      options.onFork?.({ stream, reason: last.reason });
    return {
      kind: 'delivered',
      retry: [],
      poison: refused.map(({ index, reason }) => ({ index, reason })),
    };
  }

  return { name, deliver, close: () => store.close() };
}

/** That the embedded server is still being made is no failure of a delivery: the first batch waits. */
async function whenFirstUp(home: string, log: SinkLog, signal: AbortSignal): Promise<void> {
  const isUp = (): boolean => existsSync(portFileOf(home));
  if (isUp()) return;
  log.info({ component: 'postgresql' }, 'the embedded PostgreSQL is being made; records wait');
  const endMs = performance.now() + FIRST_START_MS;
  while (!isUp() && !signal.aborted && performance.now() < endMs)
    await pause(realTiming, LOOK_MS, signal);
}

function failed({ kind, message }: StoreError): DeliveryResult {
  return { kind: 'failed', reason: `${kind}: ${message}` };
}
