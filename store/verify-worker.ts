/** The thread that reads ranges of the store and sums them up: a range in, its summary out. */
import { workerData } from 'node:worker_threads';
import { serveThread } from '../ledger/verify/threads.ts';
import { createRangeReader, type RangeReaderOptions } from './verify-reader.ts';

serveThread(createRangeReader(workerData as RangeReaderOptions).read);
