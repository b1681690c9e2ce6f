/**
 * Delivery as the main thread sees it: a worker thread runs the loops (worker.ts), this handle passes
 * on what is durable and keeps the newest status. Nothing here waits for a sink.
 */
import { err, ok, type Result } from '../../schemas/result.ts';
import type {
  DeadLetter,
  DeadLetterRetry,
  DeliveryReport,
  Fork,
  Logger,
  SkippedRecords,
} from '../ports.ts';
import type { SinkStatus } from '../status-ports.ts';
import { statusOf, type SinkReport } from './progress.ts';
import type { SinkChange, WorkerStart } from './protocol.ts';
import { startThread, type DeliveryThread } from './thread.ts';
import { createThrottle, pause, realTiming } from './timing.ts';

export interface DeliveryOptions extends WorkerStart {
  readonly log: Logger;
  /** Called once a batch that was sent, whatever came of it. */
  readonly onReport?: (report: DeliveryReport) => void;
  /** Called where a sink, or who stands behind it, holds another record at a place of the chain. */
  readonly onFork?: (fork: Fork) => void;
  /** Puts a skip of a best-effort sink into the ledger; absent: none is skipped. */
  readonly recordSkip?: (skipped: SkippedRecords) => Promise<boolean>;
  /** Called once when the thread ends without being told to. */
  readonly onWorkerFailed: (reason: string) => void;
  /** The compiled worker.ts; tests that run from source name it. */
  readonly worker?: URL;
}

export interface DeliveryError {
  readonly kind: 'worker';
  readonly message: string;
}

export interface Delivery {
  /** Says how many records of the ledger are durable; may be called after each commit. */
  notifyDurable(records: number): void;
  status(): readonly SinkStatus[];
  /** The oldest dead letters of one sink, or of all; limit 1,000. Rejects with the disk's error. */
  listDeadLetters(sink?: string, limit?: number): Promise<readonly DeadLetter[]>;
  /** Sends dead letters again, once. Rejects when the thread has ended. */
  retryDeadLetters(sink?: string): Promise<DeadLetterRetry>;
  /**
   * Begins sinks that are new, ends those that are gone, begins those that changed again from their
   * cursors. Rejects, with everything as it was, when one cannot be opened.
   */
  change(to: SinkChange): Promise<void>;
  /** Resolves when every sink that is not stopped has everything, or when time is up. */
  drain(timeoutMs: number): Promise<void>;
  /** Ends the loops, cursors saved, and the thread. Idempotent. */
  stop(): Promise<void>;
}

/** Several commits in a row are one message, and so one batch. */
const NOTIFY_INTERVAL_MS = 20;
/** A sink that does not let go is left behind: what it did not confirm is sent again. */
const STOP_TIMEOUT_MS = 1_500;
const LIST_LIMIT_DEFAULT = 1_000;

/** Starts the thread; ok once every loop has begun. A sink that cannot begin is `stopped`, no error. */
export async function startDelivery(
  options: DeliveryOptions,
): Promise<Result<Delivery, DeliveryError>> {
  const { dataDir, exporters, vocabulary, agent } = options;
  let sinks: readonly SinkReport[] = [];
  let durable = options.durable;
  let onSinks: () => void = () => undefined;
  const thread: DeliveryThread = startThread({
    module: options.worker ?? new URL('./worker.js', import.meta.url),
    start: { dataDir, exporters, vocabulary, agent, durable },
    log: options.log,
    onReport: (report) => options.onReport?.(report),
    onFork: (fork) => options.onFork?.(fork),
    onSkip: (skipped) => options.recordSkip?.(skipped) ?? Promise.resolve(false),
    onSinks: (reports) => {
      sinks = reports;
      onSinks();
    },
    onFailed: (reason) => {
      const last_error_at = new Date().toISOString();
      sinks = sinks.map((sink) => ({
        ...sink,
        state: 'stopped',
        last_error: reason,
        last_error_at,
      }));
      onSinks();
      options.onWorkerFailed(reason);
    },
  });
  const failure = await thread.ready;
  if (failure !== null) return err({ kind: 'worker', message: failure });

  const notify = createThrottle(realTiming, NOTIFY_INTERVAL_MS, () =>
    thread.tell({ kind: 'durable', records: durable }),
  );
  const isDrained = (): boolean =>
    sinks.every(({ state, cursor }) => state === 'stopped' || cursor >= durable);

  async function drain(timeoutMs: number): Promise<void> {
    notify.callNow();
    thread.tell({ kind: 'flush' });
    const drained = new AbortController();
    onSinks = () => {
      if (isDrained()) drained.abort();
    };
    onSinks();
    await pause(realTiming, timeoutMs, drained.signal);
  }

  return ok({
    drain,
    notifyDurable: (records) => {
      durable = records;
      notify.call();
    },
    status: () => sinks.map((sink) => statusOf(sink, durable, Date.now())),
    listDeadLetters: async (sink, limit = LIST_LIMIT_DEFAULT) => {
      const answer = await thread.ask((id) => ({ kind: 'list', id, limit, ...named(sink) }));
      return answer.kind === 'listed' ? answer.letters : [];
    },
    retryDeadLetters: async (sink) => {
      const answer = await thread.ask((id) => ({ kind: 'retry', id, ...named(sink) }));
      return answer.kind === 'retried' ? answer.result : { delivered: 0, remaining: 0 };
    },
    change: async ({ exporters, vocabulary }) => {
      notify.callNow();
      await thread.ask((id) => ({ kind: 'change', id, exporters, vocabulary }));
    },
    stop: async () => {
      notify.cancel();
      await thread.stop(STOP_TIMEOUT_MS);
    },
  });
}

function named(sink: string | undefined): { readonly sink?: string } {
  return sink === undefined ? {} : { sink };
}
