/** The delivery thread from outside: its start and end, its messages, its answers. */
import { Worker } from 'node:worker_threads';
import { assertNever } from '../../schemas/result.ts';
import type { DeliveryReport, Fork, Logger, SkippedRecords } from '../ports.ts';
import type { SinkReport } from './progress.ts';
import type { Answer, FromWorker, ToWorker, WorkerStart } from './protocol.ts';

export interface ThreadOptions {
  /** The compiled worker.ts. */
  readonly module: URL;
  readonly start: WorkerStart;
  readonly log: Logger;
  readonly onReport: (report: DeliveryReport) => void;
  readonly onFork: (fork: Fork) => void;
  readonly onSinks: (sinks: readonly SinkReport[]) => void;
  /** Puts a skip into the ledger; false when it is not there. */
  readonly onSkip: (skipped: SkippedRecords) => Promise<boolean>;
  /** Called once when the thread ends by itself after it was ready. */
  readonly onFailed: (reason: string) => void;
}

export interface DeliveryThread {
  /** Null once the loops have begun; otherwise why there is no thread. */
  readonly ready: Promise<string | null>;
  tell(message: ToWorker): void;
  /** Rejects when the disk fails, or the thread ends before it answers. */
  ask(question: (id: number) => ToWorker): Promise<Answer>;
  /** Tells it to stop; after `timeoutMs` it is ended. */
  stop(timeoutMs: number): Promise<void>;
}

/** Starts the thread. */
export function startThread(options: ThreadOptions): DeliveryThread {
  const worker = new Worker(options.module, { workerData: options.start, name: 'deliver' });
  const exited = new Promise((settle) => worker.once('exit', settle));
  const questions = new Map<number, (answer: Answer | null) => void>();
  let lastId = 0;
  let state: 'starting' | 'ready' | 'stopping' | 'ended' = 'starting';
  let settleReady: (failure: string | null) => void = () => undefined;
  const ready = new Promise<string | null>((settle) => (settleReady = settle));

  function end(reason: string): void {
    const before = state;
    state = 'ended';
    for (const settle of questions.values()) settle(null);
    questions.clear();
    settleReady(reason);
    if (before === 'ready') options.onFailed(reason);
  }

  function settle(answer: Answer): void {
    questions.get(answer.id)?.(answer);
    questions.delete(answer.id);
  }

  async function recordSkip(id: number, skipped: SkippedRecords): Promise<void> {
    const isRecorded = await options.onSkip(skipped);
    worker.postMessage({ kind: 'skip_recorded', id, isRecorded } satisfies ToWorker);
  }

  function hear(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        state = 'ready';
        settleReady(null);
        return;
      case 'sinks':
        options.onSinks(message.sinks);
        return;
      case 'report':
        options.onReport(message.report);
        return;
      case 'fork':
        options.onFork(message.fork);
        return;
      case 'skip':
        void recordSkip(message.id, message.skipped);
        return;
      case 'log':
        options.log[message.level](message.fields, message.message);
        return;
      case 'listed':
      case 'retried':
      case 'changed':
      case 'refused':
        settle(message);
        return;
      default:
        assertNever(message);
    }
  }

  worker.on('message', hear);
  worker.on('error', (error: Error) => end(`the delivery thread failed: ${error.message}`));
  worker.on('exit', (code) => {
    if (state !== 'ended') end(`the delivery thread ended with code ${code}`);
  });

  return {
    ready,
    tell: (message) => worker.postMessage(message),
    ask: async (question) => {
      const id = ++lastId;
      const answer = await new Promise<Answer | null>((done) => {
        if (state === 'ended') {
          done(null);
          return;
        }
        questions.set(id, done);
        worker.postMessage(question(id));
      });
      if (answer === null) throw new Error('the delivery thread has ended');
      if (answer.kind === 'refused') throw new Error(answer.reason);
      return answer;
    },
    stop: async (timeoutMs) => {
      if (state === 'ended') return;
      state = 'stopping';
      worker.postMessage({ kind: 'stop' } satisfies ToWorker);
      const timer = setTimeout(() => {
        options.log.warn({}, 'a sink did not let go in time; what it did not confirm goes again');
        void worker.terminate();
      }, timeoutMs);
      await exited;
      clearTimeout(timer);
    },
  };
}
