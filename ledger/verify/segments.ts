/** Segments in the hands of the verifier: which of them it reads, and their chunks, judged side by side. */
import { join } from 'node:path';
import { memberOf, readChain } from '../chain-place.ts';
import { nodeFilesystem, type Filesystem } from '../filesystem.ts';
import { splitRecord } from '../frame.ts';
import { readLines } from '../lines.ts';
import { segmentName } from '../segment.ts';
import { createChunkReader, cutFile, type Chunk } from './chunk-file.ts';
import type { LedgerRun } from './run.ts';
import type { ChunkSummary, KnownSizes } from './summary.ts';
import type { Threads } from './threads.ts';

export interface MeasuredSegment {
  /** Number of its first record. */
  readonly first: number;
  readonly path: string;
  readonly bytes: number;
}

/** Records that the agent received in [since, until), RFC 3339; null: no bound. */
export interface TimeRange {
  readonly since: string | null;
  readonly until: string | null;
}

/**
 * Measures the segments that may hold records of a time; without one, all. Where each begins its first line says, which may have been
 * edited: so the one that seems to begin after the time is among them, and has to show it. Rejects with the system's error.
 */
export async function measureSegments(
  filesystem: Filesystem,
  folder: string,
  firsts: readonly number[],
  range?: TimeRange,
): Promise<readonly MeasuredSegment[]> {
  const segments: (MeasuredSegment & { readonly since: number })[] = [];
  for (const first of firsts) {
    const path = join(folder, segmentName(first));
    const file = await filesystem.openRead(path);
    try {
      const bytes = await file.size();
      const since = range === undefined ? 0 : await readFirstTime(file, bytes);
      segments.push({ first, path, bytes, since });
    } finally {
      await file.close();
    }
  }
  const since = Date.parse(range?.since ?? '') || -Infinity;
  const until = Date.parse(range?.until ?? '') || Infinity;
  return segments.filter(
    (segment, at) =>
      Math.min(segment.since, segments[at - 1]?.since ?? Infinity) < until &&
      (segments[at + 1]?.since ?? Infinity) >= since,
  );
}

/** When the first record was received, ms since the epoch; -Infinity where nothing can be read of it. */
async function readFirstTime(
  file: Parameters<typeof readLines>[0],
  bytes: number,
): Promise<number> {
  for await (const [line] of readLines(file, 0, bytes)) {
    const record = line === undefined ? null : splitRecord(line.bytes.toString('utf8'));
    const event = record === null ? undefined : readChain(record.eventText)?.event;
    const time = memberOf(memberOf(event, 'chain'), 'received_at');
    return (typeof time === 'string' && Date.parse(time)) || -Infinity;
  }
  return -Infinity;
}

export interface ReadSettings {
  readonly filesystem: Filesystem;
  /** Null: no trees are grown. */
  readonly sizes: KnownSizes | null;
  /** Null: chunks are summed up in this thread. */
  readonly pool: Threads<Chunk, ChunkSummary | null> | null;
  /** Whether the last segment is the ledger's last. */
  readonly isToEnd: boolean;
  readonly total: number;
  readonly chunkBytes: number;
  readonly onProgress: ((bytesDone: number, bytesTotal: number) => void) | undefined;
}

interface Pending {
  readonly segment: MeasuredSegment;
  readonly chunk: Chunk;
  readonly isLast: boolean;
  /** A failure is heard when its turn comes, and does not end the process before that. */
  readonly settled: Promise<readonly [PromiseSettledResult<ChunkSummary | null>]>;
}

/** Reads segments into a run. Rejects with the system's error. */
export async function readSegments(
  segments: readonly MeasuredSegment[],
  run: LedgerRun,
  settings: ReadSettings,
): Promise<void> {
  const { filesystem, sizes, pool, isToEnd, total, onProgress } = settings;
  const summarize = summarizeWith(settings, sizes);
  const pending: Pending[] = [];
  let line = 0;
  let at: MeasuredSegment | null = null;

  /** Takes the oldest chunk that is under way. */
  async function take(): Promise<void> {
    const next = pending.shift();
    if (next === undefined) return;
    const { segment, chunk, isLast } = next;
    const name = segmentName(segment.first);
    if (at !== segment) {
      at = segment;
      line = 0;
      enter(segment, run);
    }
    const [said] = await next.settled;
    if (said.status === 'rejected') throw said.reason;
    const summary = said.value;
    if (summary !== null && run.takeSummary(summary, chunk.to - chunk.from, name, line)) {
      line += summary.records;
    } else {
      const file = await filesystem.openRead(chunk.path);
      try {
        for await (const lines of readLines(file, chunk.from, chunk.to))
          for (const one of lines) run.takeLine(one, { segment: name, line: ++line }, isLast);
      } finally {
        await file.close();
      }
    }
    onProgress?.(run.bytes(), total);
  }

  try {
    for (const [index, segment] of segments.entries()) {
      const file = await filesystem.openRead(segment.path);
      const ends = await cutFile(file, segment.bytes, settings.chunkBytes).finally(() =>
        file.close(),
      );
      const isLast = isToEnd && index === segments.length - 1;
      for (const [part, to] of ends.entries()) {
        while (pending.length >= (pool?.ahead ?? 1)) await take();
        const chunk = { path: segment.path, from: part === 0 ? 0 : (ends[part - 1] ?? 0), to };
        const settled = Promise.allSettled([summarize(chunk)]);
        pending.push({ segment, chunk, isLast, settled });
      }
      // One without a record still says where it stands.
      if (ends.length === 0) {
        while (pending.length > 0) await take();
        enter(segment, run);
      }
    }
    while (pending.length > 0) await take();
  } finally {
    // What failed has been told; the others end with their threads.
    await Promise.all(pending.map(({ settled }) => settled));
  }
}

function summarizeWith(
  { filesystem, pool }: ReadSettings,
  sizes: KnownSizes | null,
): (chunk: Chunk) => Promise<ChunkSummary | null> {
  if (pool !== null) return pool.run;
  // Of another file system's files nothing is known but what it reads itself.
  if (filesystem !== nodeFilesystem) return () => Promise.resolve(null);
  const read = createChunkReader(sizes);
  return (chunk) => new Promise((settle) => settle(read(chunk)));
}

function enter({ first }: MeasuredSegment, run: LedgerRun): void {
  if (first === run.records()) return;
  run.examination.report({
    kind: 'segment_missing',
    stream: '',
    seq: -1,
    segment: segmentName(first),
    line: 1,
    message: `the segment begins with record ${first}, but ${run.records()} records stand before it: records, or a whole segment, were removed or added`,
  });
  run.skipTo(first);
}
