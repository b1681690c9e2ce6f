/**
 * The gateway: takes sealed records out of NATS JetStream, verifies each by itself and in its chain, and
 * stores it as it is. It seals nothing: what it cannot verify is a finding, never a repair.
 */
import type { Server } from 'node:http';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { createLeases } from '../store/leases.ts';
import { createLinkReader } from '../store/links.ts';
import { createPostgresStore } from '../store/postgres.ts';
import { parseEndpoint } from './endpoint.ts';
import type { GatewayConfig } from './gateway-config.ts';
import { createTurns } from './deliver/turns.ts';
import { handleBatch } from './gateway/batch.ts';
import { startConsumption } from './gateway/consumption.ts';
import { createGatewayLetters } from './gateway/dead-letters.ts';
import { createGatewayMetrics } from './gateway/metrics.ts';
import type { GatewayStatus } from './gateway/status.ts';
import { createTotals } from './gateway/totals.ts';
import { lockDataDir } from './lock.ts';
import { createLogLimit } from './log-limit.ts';
import { connectToNats } from './nats-connection.ts';
import { SHARDS } from './nats-subject.ts';
import { jsonAnswer, type AdminAnswer } from './observe/admin-answer.ts';
import { closeDoor, createDoor, openDoor, refuseWebPage } from './observe/admin-door.ts';
import type { Routes } from './observe/admin-routes.ts';
import type { Logger } from './ports.ts';
import { createStops } from './stops.ts';
import { VERSION } from './version.ts';

export interface Gateway {
  readonly adminUrl: string;
  /** Resolves with the reason when it cannot go on. */
  readonly failed: Promise<string>;
  status(): GatewayStatus;
  /** Ends batches under way, hands back the rest, and stops; within 10 seconds. */
  stop(): Promise<void>;
}

const CONNECT_MS = 10_000;
/** For the batches under way; hanging up and closing have what is left of 10 s. */
const GRACE_MS = 6_000;

/** Starts a gateway. Servers that are away when it starts cost time only. */
export async function startGateway(
  config: GatewayConfig,
  log: Logger,
): Promise<Result<Gateway, string>> {
  const { nats, postgresql } = config;
  const stops = createStops(log);
  const abort = async (reason: string): Promise<Result<never, string>> => {
    await stops.run();
    return err(reason);
  };
  let fail: (reason: string) => void = () => undefined;
  const failed = new Promise<string>((tell) => (fail = tell));

  await nodeFilesystem.makeDir(config.data_dir);
  const lock = await lockDataDir(config.data_dir, (why) => fail(`lost the data directory: ${why}`));
  if (!lock.ok) return err(lock.error.message);
  stops.add('lock', () => lock.value.release());

  const database = {
    url: postgresql.url,
    ...(postgresql.tls === undefined ? {} : { tls: postgresql.tls }),
    timeoutMs: postgresql.timeout_ms,
  };
  const ownerUrl = postgresql.owner_url;
  // One lane: records go in one after the other, and what fails has nothing stored behind it.
  const store = createPostgresStore({
    ...database,
    connections: 1,
    ...(ownerUrl === undefined ? {} : { ownerUrl }),
  });
  stops.add('store', () => store.close());
  if (ownerUrl !== undefined) {
    const migrated = await store.migrate();
    if (!migrated.ok) return abort(`${migrated.error.kind}: ${migrated.error.message}`);
  }
  const links = createLinkReader({ ...database, applicationName: 'sealtrail links' });
  stops.add('links', () => links.close());
  const letters = createGatewayLetters(config.data_dir, nodeFilesystem, Date.now);
  stops.add('dead letters', () => letters.close());

  const totals = createTotals(Date.now);
  const logLimit = createLogLimit(Date.now);
  const handling = {
    ...{ subjectPrefix: nats.subject_prefix, links, store, letters, totals },
    ...{ log, logLimit },
  };
  const turn = createTurns();
  const consumption = startConsumption({
    stream: nats.stream,
    subjectPrefix: nats.subject_prefix,
    consumer: nats.consumer,
    createStream: nats.create_stream,
    ackWaitMs: nats.ack_wait_ms,
    batchRecordsMax: nats.batch_records_max,
    connect: () =>
      connectToNats({
        config: nats,
        name: `sealtrail gateway ${config.name}`,
        timeoutMs: CONNECT_MS,
      }),
    leases: createLeases(database, `${nats.stream} ${nats.consumer}`, SHARDS.length),
    // One batch at a time over all shards: the store's connection takes one.
    handle: (messages, waiting, tellFork, signal) =>
      turn(() => handleBatch({ ...handling, waiting, tellFork }, messages, signal)),
    log,
    logLimit,
    onTrouble: totals.failed,
  });
  stops.add('consumption', () => consumption.stop(GRACE_MS));

  const startedAt = new Date().toISOString();
  const status = (): GatewayStatus => ({
    gateway: config.name,
    version: VERSION,
    pid: process.pid,
    started_at: startedAt,
    ...consumption.status(),
    ...totals.counts(),
  });
  const metrics = createGatewayMetrics(status);
  const door = createDoor(routesOf(status, metrics), refuseWebPage, log);
  const endpoint = parseEndpoint(config.telemetry.admin_endpoint);
  if (endpoint === null) return abort('telemetry.admin_endpoint must be host:port');
  const opened = await openDoor(door, endpoint, log);
  if (!opened.ok) return abort(`admin server: ${opened.error.message}`);
  stops.add('admin', () => closeDoor(door));
  return ok({ adminUrl: urlOf(endpoint.host, door), failed, status, stop: () => stops.run() });
}

function urlOf(host: string, door: Server): string {
  const bound = door.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return `http://${host}:${port}`;
}

function routesOf(
  status: () => GatewayStatus,
  metrics: { readonly contentType: string; text(): Promise<string> },
): Routes {
  const health = (ok: boolean, detail: string): AdminAnswer =>
    jsonAnswer(ok ? 200 : 503, { ok, checks: [{ name: 'consumption', ok, detail }] });
  return new Map([
    ['/healthz', { method: 'GET' as const, answer: () => health(true, 'running') }],
    [
      '/readyz',
      {
        method: 'GET' as const,
        answer: () => {
          const { obstacle, last_error: lastError, shards } = status();
          const reason = obstacle ?? lastError;
          return health(reason === null, reason ?? `consuming ${shards.length} shards`);
        },
      },
    ],
    ['/status', { method: 'GET' as const, answer: () => jsonAnswer(200, status()) }],
    [
      '/metrics',
      {
        method: 'GET' as const,
        answer: async () => ({
          status: 200,
          type: metrics.contentType,
          body: await metrics.text(),
        }),
      },
    ],
  ]);
}
