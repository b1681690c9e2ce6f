/**
 * Verification of a ledger folder, whole or in part: every segment, every stream, every finding. It needs no agent
 * and no database. Chunks of the segments are judged side by side, each record in them, and then held together in
 * their order (verify/chunk.ts); where anything is wrong the records of the chunk are taken one by one. Of each
 * record that is found wrong, and of one in 64, the hash is @noble/hashes', not that of the hasher that sealed.
 */
import { join } from 'node:path';
import { messageOf } from '../schemas/result.ts';
import { createExamination, type ProducerGap, type Verification } from './examination.ts';
import { nodeFilesystem, type Filesystem } from './filesystem.ts';
import { readFront } from './front.ts';
import { listSegments, stateName } from './segment.ts';
import { CHUNK_BYTES_DEFAULT, type Chunk } from './verify/chunk-file.ts';
import { knownSizes, type Known } from './verify/known.ts';
import { beginRun, type LedgerRun } from './verify/run.ts';
import {
  measureSegments,
  readSegments,
  type MeasuredSegment,
  type TimeRange,
} from './verify/segments.ts';
import type { ChunkSummary } from './verify/summary.ts';
import { startThreads } from './verify/threads.ts';

export type { ProducerGap, TimeRange, Verification };

export interface VerifyOptions {
  readonly filesystem?: Filesystem;
  /** Called about once per chunk. */
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
  /** What is known of the streams from elsewhere; default nothing. */
  readonly known?: Known | null;
  /** Of which records the segments are read; default all. */
  readonly range?: TimeRange;
  /** Threads beside this one; default 0. More than that takes the compiled program, and node's own file system. */
  readonly threads?: number;
  /** Read and judged at once; default 4 MiB. */
  readonly chunkBytes?: number;
}

/** Below this a thread takes longer to start than to be of use. */
const THREADED_BYTES_MIN = 16 * 1024 * 1024;
const WORKER = new URL('./verify/chunk-worker.js', import.meta.url);

/** Verifies the ledger in a folder: `<data>/ledger`, or the data folder itself. */
export async function verifyLedger(
  dir: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const filesystem = options.filesystem ?? nodeFilesystem;
  const cannotTell = (obstacle: string): Verification =>
    createExamination().conclude({ records: 0, segments: 0, bytes: 0, gaps: [] }, obstacle);
  try {
    const names = await filesystem.list(dir);
    const folder = names.includes('ledger') ? join(dir, 'ledger') : dir;
    const all = listSegments(folder === dir ? names : await filesystem.list(folder));
    if (all.length === 0)
      return cannotTell(
        `${dir} holds no ledger segment; name the folder of an agent's data or ledger`,
      );
    const segments = await measureSegments(filesystem, folder, all, options.range);
    if (segments.length === 0) return cannotTell('no segment holds records of that time');
    return await verifySegments(folder, all, segments, options);
  } catch (error) {
    return cannotTell(`${dir} cannot be read: ${messageOf(error)}`);
  }
}

async function verifySegments(
  folder: string,
  all: readonly number[],
  segments: readonly MeasuredSegment[],
  options: VerifyOptions,
): Promise<Verification> {
  const { filesystem = nodeFilesystem, known = null, threads = 0, onProgress } = options;
  const { chunkBytes = CHUNK_BYTES_DEFAULT } = options;
  const begun = segments[0]?.first ?? 0;
  const isToEnd = segments.at(-1)?.first === all.at(-1);
  const sizes = known === null ? null : knownSizes(known);
  const total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  const pool =
    threads > 0 && total >= THREADED_BYTES_MIN
      ? startThreads<Chunk, ChunkSummary | null>(threads, WORKER, sizes)
      : null;
  /** Why not all could be read: what was found until then stays found. */
  const read = (run: LedgerRun): Promise<string | null> =>
    readSegments(segments, run, {
      filesystem,
      sizes,
      pool,
      isToEnd,
      total,
      chunkBytes,
      onProgress,
    }).then(
      () => null,
      (error: unknown) => `${folder} cannot be read: ${messageOf(error)}`,
    );
  try {
    const front = begun === 0 ? null : await readFront(filesystem, folder, begun);
    if (front !== null) {
      const run = await beginRun({ front, known, isToEnd });
      const unread = await read(run);
      if (unread !== null) return run.conclude(segments.length, unread);
      const isWhole = begun === all[0];
      if (!isWhole || run.isRemovalSeen()) {
        run.examination.note(
          isWhole
            ? `the ledger begins with record ${begun}: earlier segments were removed, as the ledger itself records; what they held is in the store`
            : `records before ${begun} were not read: where the streams stood there is taken from ${stateName(begun)}, which only a checkpoint that fits shows to be right`,
        );
        return run.conclude(segments.length, null);
      }
    }
    // From the first record on, or, where nothing in the ledger says so, as one whose beginning was taken away.
    const run = await beginRun({ front: null, known, isToEnd });
    return run.conclude(segments.length, await read(run));
  } finally {
    await pool?.close();
  }
}
