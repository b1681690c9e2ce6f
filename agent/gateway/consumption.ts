/**
 * Consumption: connected to NATS, with a worker for each shard that this gateway holds a lease on. What
 * is lost (NATS, the database, a consumer) is begun anew after a pause, for as long as the gateway runs.
 */
import { setMaxListeners } from 'node:events';
import type { JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../../schemas/result.ts';
import type { Leases } from '../../store/leases.ts';
import { forkSubject, formatForkNotice } from '../fork-notice.ts';
import type { LogLimit } from '../log-limit.ts';
import { SHARDS } from '../nats-subject.ts';
import { pause } from '../pause.ts';
import type { Fork, Logger } from '../ports.ts';
import { HANDED_BACK_MS_MAX, type TellFork } from './batch.ts';
import type { GatewayMessage } from './incoming.ts';
import { startShard, type ShardWorker } from './shard.ts';
import { prepareStream, renewConsumer, type StreamOptions } from './stream.ts';
import { createWaiting, type Waiting, type WaitingLimits } from './waiting.ts';

export interface ConsumptionOptions extends StreamOptions {
  readonly connect: () => Promise<NatsConnection>;
  readonly leases: Leases;
  readonly batchRecordsMax: number;
  readonly handle: (
    messages: readonly GatewayMessage[],
    waiting: Waiting,
    tellFork: TellFork,
    signal: AbortSignal,
  ) => Promise<void>;
  readonly log: Logger;
  readonly logLimit: LogLimit;
  readonly onTrouble: (reason: string) => void;
}

export interface ConsumptionStatus {
  readonly connected: boolean;
  readonly shards: readonly string[];
  /** Why it is not consuming; null while it is. */
  readonly obstacle: string | null;
}

export interface Consumption {
  status(): ConsumptionStatus;
  /** Lets batches under way end within a time. */
  stop(graceMs: number): Promise<void>;
}

/** Of each shard. */
const WAITING_LIMITS: WaitingLimits = { records: 2_000, bytes: 4 * 1024 * 1024 };
const BALANCE_MS = 250;
const AGAIN_MS = 500;
/** Beyond the grace: what was cut ends, and answers leave. */
const HANG_UP_MS = 2_000;

/** Starts; never gives up by itself. */
export function startConsumption(options: ConsumptionOptions): Consumption {
  const stopping = new AbortController();
  const cut = new AbortController();
  // By then each message is due again, whether it was lost on its way or handed back.
  const silentMsMax = options.ackWaitMs + 2 * HANDED_BACK_MS_MAX;
  // Each worker that is being stopped listens.
  setMaxListeners(SHARDS.length + 1, cut.signal);
  const workers = new Map<string, ShardWorker>();
  let connected = false;
  let obstacle: string | null = 'starting';

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await runSession();
      } catch (error) {
        trouble(messageOf(error));
      }
      await pause(AGAIN_MS, stopping.signal);
    }
  }

  function trouble(reason: string): void {
    if (stopping.signal.aborted) return;
    if (obstacle !== reason) options.log.warn({ reason }, 'not consuming');
    obstacle = reason;
    options.onTrouble(reason);
  }

  /** What the server has against what was sent to it: nothing else says so. */
  async function listen(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type !== 'error') continue;
      // A gateway that may not tell of forks is refused with every record that it refuses.
      const count = options.logLimit(`refused ${status.error.name}`);
      const reason = messageOf(status.error);
      if (count !== null) options.log.warn({ reason, count }, 'NATS refuses something');
    }
  }

  /** One connection, from its beginning to its end. */
  async function runSession(): Promise<void> {
    const connection = await options.connect();
    const ended = new AbortController();
    const end = (): void => ended.abort();
    let isLost = true;
    void connection.closed().then((error) => {
      if (isLost) trouble(`the connection to NATS ended${error ? `: ${messageOf(error)}` : ''}`);
      end();
    });
    stopping.signal.addEventListener('abort', end);
    void listen(connection);
    try {
      const { jetstream, jetstreamManager } = await import('@nats-io/jetstream');
      const manager = await jetstreamManager(connection, { checkAPI: false });
      const prepared = await prepareStream(manager, options);
      if (!prepared.ok) return trouble(prepared.error);
      connected = true;
      const client = jetstream(connection);
      const tell = (tenant: string, fork: Fork): void =>
        connection.publish(forkSubject(options.subjectPrefix, tenant), formatForkNotice(fork));
      while (!ended.signal.aborted) {
        await balance(client, tell, end);
        await pause(BALANCE_MS, ended.signal);
      }
    } finally {
      connected = false;
      stopping.signal.removeEventListener('abort', end);
      await stopAll();
      isLost = connection.isClosed();
      await hangUp(connection);
    }
  }

  /** Makes the workers match the leases. */
  async function balance(client: JetStreamClient, tell: TellFork, end: () => void): Promise<void> {
    const leased = new Set((await options.leases.balance()).map((lease) => SHARDS[lease] ?? ''));
    for (const [shard, worker] of workers) {
      const isStalled = leased.has(shard) && (await worker.isStalled(silentMsMax));
      if (leased.has(shard) && !isStalled) continue;
      if (isStalled) options.log.warn({ shard }, 'NATS handed out nothing: a new consumer is made');
      workers.delete(shard);
      await worker.stop(cut.signal);
    }
    for (const shard of leased) {
      if (workers.has(shard)) continue;
      const consumer = await renewConsumer(client, options, shard);
      const onFailed = (reason: string): void => {
        trouble(`consumer of shard ${shard}: ${reason}`);
        end();
      };
      // What waits ends with the worker: whoever has the shard next is handed it again.
      const waiting = createWaiting(WAITING_LIMITS);
      const worker = await startShard({
        consumer,
        batchRecordsMax: options.batchRecordsMax,
        handle: (messages, signal) => options.handle(messages, waiting, tell, signal),
        onFailed,
      });
      workers.set(shard, worker);
    }
    obstacle = null;
  }

  async function stopAll(): Promise<void> {
    const all = [...workers.values()];
    workers.clear();
    await Promise.all(all.map((worker) => worker.stop(cut.signal)));
  }

  const running = run();
  return {
    status: () => ({ connected, shards: [...workers.keys()].sort(), obstacle }),
    stop: async (graceMs) => {
      stopping.abort();
      const timer = setTimeout(() => cut.abort(), graceMs);
      // A server that neither answers nor hangs up must not hold up the end.
      await Promise.race([running, pause(graceMs + HANG_UP_MS, new AbortController().signal)]);
      clearTimeout(timer);
      options.leases.close();
    },
  };
}

/** Answers that are on their way get there first, if the server still listens. */
async function hangUp(connection: NatsConnection): Promise<void> {
  if (!connection.isClosed())
    await Promise.race([
      connection.flush().catch(String),
      pause(1_000, new AbortController().signal),
    ]);
  await connection.close();
}
