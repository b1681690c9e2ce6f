/** The checkpoint stage as the main thread sees it: a thread of its own (worker.ts) and its newest status. */
import { Worker } from 'node:worker_threads';
import { assertNever } from '../../schemas/result.ts';
import type { Fork, Logger } from '../ports.ts';
import type { CheckpointStatus } from '../status-ports.ts';
import type { CheckpointStart, FromCheckpointThread, ToCheckpointThread } from './protocol.ts';

export interface CheckpointOptions extends CheckpointStart {
  readonly log: Logger;
  /** Called where an anchor shows that another agent goes on with this anchor log. */
  readonly onFork: (fork: Fork) => void;
  /** Called once when the thread ends without being told to. */
  readonly onFailed: (reason: string) => void;
  /** The compiled worker.ts; tests that run from source name it. */
  readonly worker?: URL;
}

export interface Checkpoints {
  /** Says how many records of the ledger are durable; may be called after each commit. */
  notifyDurable(records: number): void;
  /** Null before the thread has said anything. */
  status(): CheckpointStatus | null;
  /** Signs and anchors what is durable, and ends; after so long it is ended. */
  stop(timeoutMs: number): Promise<void>;
}

/** The commits of so long are one message: waking the thread costs more than its work. */
const NOTIFY_INTERVAL_MS = 100;

/** Starts the thread. It comes up by itself; nothing waits for it. */
export function startCheckpoints(options: CheckpointOptions): Checkpoints {
  const { log, onFork, onFailed, worker: module, ...start } = options;
  const worker = new Worker(module ?? new URL('./worker.js', import.meta.url), {
    workerData: start,
    name: 'checkpoint',
  });
  const exited = new Promise<void>((settle) => worker.once('exit', () => settle()));
  let { durable } = options;
  let status: CheckpointStatus | null = null;
  let timer: NodeJS.Timeout | null = null;
  let isEnded = false;

  function tell(message: ToCheckpointThread): void {
    worker.postMessage(message);
  }

  function tellDurable(): void {
    timer = null;
    tell({ kind: 'durable', records: durable });
  }

  function end(reason: string): void {
    if (isEnded) return;
    isEnded = true;
    onFailed(reason);
  }

  worker.on('message', (message: FromCheckpointThread) => {
    switch (message.kind) {
      case 'status':
        status = message.status;
        return;
      case 'fork':
        onFork(message.fork);
        return;
      case 'log':
        log[message.level](message.fields, message.message);
        return;
      default:
        assertNever(message);
    }
  });
  worker.on('error', (error: Error) => end(`the checkpoint thread failed: ${error.message}`));
  worker.on('exit', (code) => end(`the checkpoint thread ended with code ${code}`));

  return {
    notifyDurable: (records) => {
      durable = records;
      if (!isEnded) timer ??= setTimeout(tellDurable, NOTIFY_INTERVAL_MS);
    },
    status: () =>
      status === null ? null : { ...status, lag_records: Math.max(0, durable - status.records) },
    stop: async (timeoutMs) => {
      if (isEnded) return;
      isEnded = true;
      if (timer !== null) clearTimeout(timer);
      tellDurable();
      tell({ kind: 'stop' });
      const giveUp = setTimeout(() => {
        log.warn({}, 'checkpoints did not end in time; the next start signs what they did not');
        void worker.terminate();
      }, timeoutMs);
      await exited;
      clearTimeout(giveUp);
    },
  };
}
