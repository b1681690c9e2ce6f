/**
 * The verification of streams by ranges that are read and summed up side by side (verify-range.ts), and then held
 * together in their order; what cannot be summed up is read row by row over the connection that holds the snapshot.
 */
import type { ClientBase } from 'pg';
import type { Threads } from '../ledger/verify/threads.ts';
import { startThreads } from '../ledger/verify/threads.ts';
import { ALL, readPlaces } from './verify-places.ts';
import type { Extent, Stream } from './verify-queries.ts';
import type { RangeSummary, RangeTask } from './verify-range.ts';
import { createRangeReader, type RangeReaderOptions } from './verify-reader.ts';
import { judgeStream, type JudgedStream, type Run, type StreamReading } from './verify-stream.ts';

export type RangeReaders = Threads<RangeTask, RangeSummary | null>;

const RANGE_RECORDS_DEFAULT = 8_192;
/** Ranges under way over a connection that has no thread of its own. */
const AHEAD = 2;

/** A stream, and what is known of its extent. */
export interface MeasuredStream extends Omit<StreamReading, 'onPlace' | 'onProgress'> {
  readonly extent: Extent | undefined;
}

export interface RangesOptions {
  readonly client: ClientBase;
  readonly readers: RangeReaders;
  readonly rangeRecords: number | undefined;
  readonly onProgress: () => void;
  /** Called for each stream, in order, with the number of its places. */
  readonly onStream: (stream: Stream, places: number) => void;
}

/** Readers with a thread each, which takes the compiled program. */
export function startReaders(count: number, options: RangeReaderOptions): RangeReaders {
  return startThreads(count, new URL('./verify-worker.js', import.meta.url), options);
}

/** Readers in this thread: the connections alone are several. */
export function openReaders(count: number, options: RangeReaderOptions): RangeReaders {
  const readers = Array.from({ length: count }, () => createRangeReader(options));
  let next = 0;
  return {
    ahead: AHEAD * count,
    run: async (task) => {
      next = (next + 1) % count;
      return (await readers[next]?.read(task)) ?? null;
    },
    close: async () => {
      for (const reader of readers) reader.close();
      return Promise.resolve();
    },
  };
}

interface Pending {
  readonly task: RangeTask;
  readonly judged: JudgedStream;
  readonly of: MeasuredStream;
  readonly isLast: boolean;
  /** A failure is heard when its turn comes, and does not end the process before that. */
  readonly settled: Promise<readonly [PromiseSettledResult<RangeSummary | null>]>;
}

/** Verifies streams, in their order. Rejects with what reading rejects with. */
export async function verifyInRanges(
  streams: readonly MeasuredStream[],
  run: Run,
  options: RangesOptions,
): Promise<void> {
  const { client, readers, rangeRecords = RANGE_RECORDS_DEFAULT } = options;
  const pending: Pending[] = [];

  async function readRows({ task, judged, of }: Pending): Promise<void> {
    const { from, to } = of.window ?? ALL;
    const within = (seq: number): number => Math.min(Math.max(seq, task.from), task.to);
    const window = { begin: task.from, from: within(from), to: within(to), end: task.to };
    for await (const batch of readPlaces(client, of.stream.stream_id, window)) {
      judged.take(batch);
      options.onProgress();
    }
  }

  /** Takes the oldest range that is under way. */
  async function take(): Promise<void> {
    const next = pending.shift();
    if (next === undefined) return;
    const [said] = await next.settled;
    if (said.status === 'rejected') throw said.reason;
    if (said.value === null || !next.judged.takeRange(said.value)) await readRows(next);
    options.onProgress();
    if (next.isLast) options.onStream(next.of.stream, next.judged.conclude());
  }

  try {
    for (const of of streams) {
      const judged = judgeStream(of, run);
      const doubted = doubtedIn(of.stream, run);
      const tasks = planRanges(of, judged.settledFrom, rangeRecords, doubted);
      for (const [at, { isByRow, ...task }] of tasks.entries()) {
        while (pending.length >= readers.ahead) await take();
        const summed = isByRow ? null : readers.run(task);
        const settled = Promise.allSettled([summed]);
        pending.push({ task, judged, of, isLast: at === tasks.length - 1, settled });
      }
    }
    while (pending.length > 0) await take();
  } finally {
    // What failed has been told; the others end with their connections.
    await Promise.all(pending.map(({ settled }) => settled));
  }
}

interface PlannedRange extends RangeTask {
  /** Nothing can be summed up there. */
  readonly isByRow: boolean;
}

/** Cuts a stream; the last range goes to its end. */
function planRanges(
  { stream, extent, window = ALL, purges }: MeasuredStream,
  settledFrom: number,
  rangeRecords: number,
  doubted: readonly number[],
): readonly PlannedRange[] {
  const { first = 0, last = -1, records = 0, stubsTo = 0 } = extent ?? {};
  const byRow = (from: number, to: number): PlannedRange => ({
    ...{ stream, from, to, isWhole: true, isByRow: true },
  });
  // A number may be anything: of a stream with more holes than records no ranges are made.
  if (records === 0 || last - first > 2 * records + rangeRecords) return [byRow(0, ALL.to)];
  const planned: PlannedRange[] = [];
  // What purges left, and the place at which it ends.
  const settled = purges.length === 0 ? stubsTo : Math.max(settledFrom, stubsTo, first + 1);
  if (settled > 0) planned.push(byRow(0, settled));
  const alone = new Set(doubted);
  const cuts = [...doubted, ...doubted.map((seq) => seq + 1), window.from, window.to, last + 1];
  for (let from = Math.max(first, settled); from <= last;) {
    const to = cuts.reduce(
      (least, cut) => (cut > from ? Math.min(least, cut) : least),
      from + rangeRecords,
    );
    const isWhole = from >= window.from && to <= window.to;
    planned.push({ stream, from, to, isWhole, isByRow: alone.has(from) });
    from = to;
  }
  return planned;
}

/** Places whose rows are looked at by themselves: of which queries show something else than the chain, and records of purges. */
function doubtedIn(
  { stream_id, stream }: Stream,
  { miscounted, recorded }: Run,
): readonly number[] {
  const seqsOf = (places: Iterable<string>, name: string): number[] =>
    [...places].flatMap((place) => {
      const [of, seq] = place.split(' ');
      return of === name ? [Number(seq)] : [];
    });
  return [...seqsOf(miscounted.keys(), String(stream_id)), ...seqsOf(recorded.keys(), stream)];
}
