/** The thread that sums up chunks: a chunk in, its summary out. */
import { workerData } from 'node:worker_threads';
import { createChunkReader } from './chunk-file.ts';
import type { KnownSizes } from './summary.ts';
import { serveThread } from './threads.ts';

serveThread(createChunkReader(workerData as KnownSizes | null));
