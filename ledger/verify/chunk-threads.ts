/** The threads that sum up chunks, seen from outside. */
import { Worker } from 'node:worker_threads';
import type { Chunk, SummarizeFile } from './chunk-file.ts';
import type { ChunkAnswer } from './chunk-worker.ts';
import type { ChunkSummary, KnownSizes } from './summary.ts';

export interface ChunkThreads {
  readonly summarize: SummarizeFile;
  /** Chunks that it is well to have under way at once. */
  readonly ahead: number;
  close(): Promise<void>;
}

interface Waiting {
  readonly chunk: Chunk;
  settle(summary: ChunkSummary | null): void;
  fail(error: Error): void;
}

/** A thread has its next chunk before it has finished one. */
const AHEAD_PER_THREAD = 2;
const ENDED = 'a thread of the verifier has ended';

/** Starts so many threads of the compiled chunk-worker.ts. */
export function startChunkThreads(
  count: number,
  known: KnownSizes | null,
  module: URL = new URL('./chunk-worker.js', import.meta.url),
): ChunkThreads {
  const threads = Array.from({ length: count }, () => {
    const worker = new Worker(module, { workerData: known, name: 'verify' });
    const waiting: Waiting[] = [];
    const thread = { worker, waiting, isEnded: false };
    const failAll = (error: Error): void => {
      for (const one of waiting.splice(0)) one.fail(error);
    };
    worker.on('message', ({ summary, failure }: ChunkAnswer) => {
      const one = waiting.shift();
      if (failure === null) one?.settle(summary);
      else one?.fail(new Error(failure));
    });
    worker.on('error', failAll);
    worker.on('exit', () => {
      thread.isEnded = true;
      failAll(new Error(ENDED));
    });
    return thread;
  });

  const idlest = (): (typeof threads)[number] | undefined =>
    threads.toSorted((one, other) => one.waiting.length - other.waiting.length)[0];

  return {
    ahead: count * AHEAD_PER_THREAD,
    summarize: (chunk) =>
      new Promise((settle, fail) => {
        const thread = idlest();
        // One that has ended answers nothing more.
        if (thread === undefined || thread.isEnded) {
          fail(new Error(ENDED));
          return;
        }
        thread.waiting.push({ chunk, settle, fail });
        thread.worker.postMessage(chunk);
      }),
    close: async () => {
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
    },
  };
}
