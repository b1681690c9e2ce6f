/**
 * The reconciler: looks at the outbox at intervals and says what nobody else would notice: a relay that
 * does not run, rows the agent refuses, external calls of which nobody knows how they ended. It also
 * removes rows that are done with. Several may run.
 */
import type { EventDraft } from '../event-draft.ts';
import { createBell } from './bell.ts';
import type { Connect, DatabaseClient } from './client.ts';
import { asError, tell } from '../hook.ts';
import {
  findStuck,
  pruneShipped,
  reconcileIntents,
  type DanglingIntent,
  type StuckReport,
} from './reconcile.ts';
import type { Outbox } from './writer.ts';

export interface ReconcilerOptions {
  /** Opens a connection, connected; one a pass. */
  readonly connect: Connect;
  readonly outbox: Outbox;
  /** Time between two passes, in milliseconds. Default 60,000. */
  readonly everyMs?: number;
  /** Age from which an unshipped row is stuck, in milliseconds. Default 60,000. */
  readonly stuckAfterMs?: number;
  /** Told at each pass as long as a row is stuck or set aside: alert on it. */
  readonly onStuck?: (report: StuckReport) => void;
  /** Age from which an intent without outcome dangles, in milliseconds. Default 300,000. */
  readonly danglingAfterMs?: number;
  /**
   * Asked about each dangling intent: look up what became of it and return the outcome's draft, or null
   * as long as that cannot be told. Left out, dangling intents are counted only.
   */
  readonly onDangling?: (intent: DanglingIntent) => EventDraft | null | Promise<EventDraft | null>;
  /** How long onDangling may take about one intent, in milliseconds. Default 30,000. */
  readonly inquiryMs?: number;
  /** How long shipped rows are kept, in milliseconds; null keeps them. Default seven days. */
  readonly keepShippedMs?: number | null;
  /** Told of a pass that failed, or of an intent that could not be settled; the next pass comes. */
  readonly onError?: (error: Error) => void;
}

export interface ReconcileReport {
  readonly stuck: StuckReport;
  readonly dangling: {
    readonly found: number;
    /** Those that have an outcome now. */
    readonly settled: number;
  };
  /** Shipped rows removed. */
  readonly pruned: number;
}

export interface Reconciler {
  /** One pass, now or after the one under way; rejects with what the database throws. */
  pass(): Promise<ReconcileReport>;
  /** Ends the passes at intervals; waits for the one under way. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const DEFAULT_EVERY_MS = 60_000;
const DEFAULT_STUCK_MS = 60_000;
const DEFAULT_DANGLING_MS = 300_000;
const DEFAULT_INQUIRY_MS = 30_000;
const DEFAULT_KEEP_MS: number = 7 * 24 * 60 * 60 * 1000;

/** Starts a reconciler; the first pass is at once. */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { outbox, connect, everyMs = DEFAULT_EVERY_MS } = options;
  const bell = createBell();
  let stopping = false;
  let turn: Promise<unknown> = Promise.resolve();

  /** One at a time, in the order of asking. */
  function pass(): Promise<ReconcileReport> {
    const mine = turn.then(passNow, passNow);
    turn = mine;
    return mine;
  }

  async function passNow(): Promise<ReconcileReport> {
    const client = await connect();
    let gone: Error | null = null;
    client.on('error', (error) => (gone = error));
    try {
      return await lookOver(client);
    } finally {
      const ended = client.end().catch((thrown: unknown) => {
        tell('onError', options.onError, asError(thrown));
      });
      if (gone === null) await ended;
    }
  }

  async function lookOver(client: DatabaseClient): Promise<ReconcileReport> {
    const stuck = await findStuck(client, outbox.table, options.stuckAfterMs ?? DEFAULT_STUCK_MS);
    if (stuck.count + stuck.set_aside > 0) tell('onStuck', options.onStuck, stuck);
    const dangling = await reconcileIntents(
      client,
      outbox,
      options.danglingAfterMs ?? DEFAULT_DANGLING_MS,
      {
        decide: options.onDangling ?? (() => null),
        withinMs: options.inquiryMs ?? DEFAULT_INQUIRY_MS,
        onFault: (error) => tell('onError', options.onError, error),
      },
    );
    const { keepShippedMs = DEFAULT_KEEP_MS } = options;
    const pruned =
      keepShippedMs === null ? 0 : await pruneShipped(client, outbox.table, keepShippedMs);
    return { stuck, dangling, pruned };
  }

  async function run(): Promise<void> {
    while (!stopping) {
      try {
        await pass();
      } catch (thrown) {
        tell('onError', options.onError, asError(thrown));
      }
      await bell.pause(everyMs);
    }
  }

  const running = run();

  function stop(): Promise<void> {
    stopping = true;
    bell.close();
    return running;
  }

  return { pass, stop, [Symbol.asyncDispose]: stop };
}
