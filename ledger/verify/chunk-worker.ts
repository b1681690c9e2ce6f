/** The thread that sums up chunks: a chunk in, its summary out. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../schemas/result.ts';
import { createChunkReader, type Chunk } from './chunk-file.ts';
import type { KnownSizes, ChunkSummary } from './summary.ts';

export interface ChunkAnswer {
  readonly summary: ChunkSummary | null;
  /** Why the chunk could not be read. */
  readonly failure: string | null;
}

const read = createChunkReader(workerData as KnownSizes | null);

parentPort?.on('message', (chunk: Chunk) => {
  let answer: ChunkAnswer;
  try {
    answer = { summary: read(chunk), failure: null };
  } catch (error) {
    answer = { summary: null, failure: messageOf(error) };
  }
  parentPort?.postMessage(answer);
});
