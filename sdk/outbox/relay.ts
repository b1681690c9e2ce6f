/**
 * The relay: moves rows from the outbox to the agent, for as long as it runs. A NOTIFY wakes it at the
 * commit, a poll finds what no notification told of. Any number of relays may run, in any process that
 * reaches database and agent. A lost database means: connect again; an agent that is away: try again.
 */
import type { Audit } from '../audit.ts';
import { decideBackoffMs } from '../backoff.ts';
import { AuditError, AuditErrorCode } from '../errors.ts';
import { preparedDoorOf } from '../prepared.ts';
import { createBell } from './bell.ts';
import { tableNameOf, type Connect, type DatabaseClient } from './client.ts';
import { asError, tell } from '../hook.ts';
import { shipRows, type SetAside, type Shipment } from './shipment.ts';

export interface RelayOptions {
  /**
   * Opens a connection of the relay's own, connected: it is kept, and listens. Give it a time limit for
   * connecting and for queries; the relay has none of its own.
   */
  readonly connect: Connect;
  /** Its timeoutMs is how long a row may wait for the agent's ack in one go. */
  readonly audit: Audit;
  /** Default: `audit_outbox`. */
  readonly table?: string;
  /** Rows in one go, 1 to 10,000. Default 200. */
  readonly batchRows?: number;
  /** Longest time between two looks at the table, in milliseconds, from 1. Default 1,000. */
  readonly pollMs?: number;
  /** How long stop() waits for the rows under way, in milliseconds. Default 15,000. */
  readonly stopMs?: number;
  /** Told of each row that is set aside. */
  readonly onSetAside?: (row: SetAside) => void;
  /** Told of each failed go: database lost, agent away. */
  readonly onError?: (error: Error) => void;
}

export interface RelayStats {
  readonly connected: boolean;
  /** Rows acked by the agent and marked. */
  readonly shipped: number;
  readonly setAside: number;
  /** Goes after which rows had to stay. */
  readonly putOff: number;
  /** Connections to the database opened after the first. */
  readonly reconnects: number;
  /** Why the last go failed; null while all is well. */
  readonly lastError: string | null;
}

export interface Relay {
  stats(): RelayStats;
  /** Finishes and marks the rows under way, then disconnects. Close the Audit after it. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const DEFAULT_BATCH_ROWS = 200;
const BATCH_ROWS_MAX = 10_000;
const DEFAULT_POLL_MS = 1000;
const DEFAULT_STOP_MS = 15_000;

/**
 * Starts a relay.
 * @throws AuditError `options_invalid`.
 * @example
 * const relay = createRelay({
 *   audit,
 *   connect: async () => {
 *     const client = new pg.Client({ connectionString, query_timeout: 30_000, keepAlive: true });
 *     await client.connect();
 *     return client;
 *   },
 * });
 */
export function createRelay(options: RelayOptions): Relay {
  const { connect, audit, pollMs = DEFAULT_POLL_MS, batchRows = DEFAULT_BATCH_ROWS } = options;
  const table = tableNameOf(options.table);
  const door = preparedDoorOf(audit);
  if (!isCount(batchRows, BATCH_ROWS_MAX)) throw invalid('batchRows must be 1 to 10,000');
  if (!isCount(pollMs, 2 ** 31 - 1)) throw invalid('pollMs must be milliseconds, from 1');
  const bell = createBell();
  const counts = { shipped: 0, setAside: 0, putOff: 0, connections: 0 };
  let connected = false;
  let stopping = false;
  let failures = 0;
  let lastError: string | null = null;

  function fail(thrown: unknown): void {
    failures += 1;
    const error = asError(thrown);
    lastError = error.message;
    tell('onError', options.onError, error);
  }

  function count(done: Shipment): void {
    counts.shipped += done.shipped;
    counts.setAside += done.setAside.length;
    if (done.later > 0) counts.putOff += 1;
    for (const row of done.setAside) tell('onSetAside', options.onSetAside, row);
    if (done.error !== null) return fail(done.error);
    failures = done.later === 0 ? 0 : failures + 1;
    lastError = null;
  }

  /** Ships until told to stop; throws when the connection is lost. */
  async function serve(client: DatabaseClient, lost: () => Error | null): Promise<void> {
    await client.query(`LISTEN "${table}"`, []);
    while (!stopping) {
      const error = lost();
      if (error !== null) throw error;
      const done = await shipRows(client, door, table, batchRows);
      count(done);
      if (done.later > 0) await bell.pause(decideBackoffMs(failures, Math.random()));
      else if (done.claimed < batchRows) await bell.wait(pollMs);
    }
  }

  async function connectAndServe(): Promise<void> {
    const client = await connect();
    counts.connections += 1;
    let gone: Error | null = null;
    client.on('error', (error) => {
      gone = error;
      bell.ring();
    });
    client.on('end', () => {
      gone ??= new Error('the database closed the connection');
      bell.ring();
    });
    client.on('notification', bell.ring);
    connected = true;
    try {
      await serve(client, () => gone);
    } finally {
      connected = false;
      await hangUp(client, gone !== null);
    }
  }

  /** A connection in doubt is not waited for: its server may never answer. */
  async function hangUp(client: DatabaseClient, isLost: boolean): Promise<void> {
    const ended = client.end().catch(fail);
    if (stopping && !isLost) await ended;
  }

  async function run(): Promise<void> {
    while (!stopping) {
      try {
        await connectAndServe();
      } catch (thrown) {
        fail(thrown);
        await bell.pause(decideBackoffMs(failures, Math.random()));
      }
    }
  }

  const running = run();
  let stopped: Promise<void> | null = null;

  function stop(): Promise<void> {
    stopped ??= new Promise((resolve) => {
      stopping = true;
      bell.close();
      const timer = setTimeout(resolve, options.stopMs ?? DEFAULT_STOP_MS);
      void running.finally(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    return stopped;
  }

  return {
    stats: () => ({
      connected,
      shipped: counts.shipped,
      setAside: counts.setAside,
      putOff: counts.putOff,
      reconnects: Math.max(0, counts.connections - 1),
      lastError,
    }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function isCount(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= max;
}

function invalid(what: string): AuditError {
  return new AuditError(AuditErrorCode.optionsInvalid, `createRelay: ${what}`);
}
