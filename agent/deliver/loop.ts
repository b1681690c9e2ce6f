/**
 * The delivery loop of one sink: reads the ledger from the sink's cursor, settles batch after batch,
 * and moves the cursor behind them. Loops share nothing: one that waits or stops holds up no other.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import type { ExporterConfig } from '../../schemas/exporter-config.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type {
  DeadLetter,
  DeadLetterRetry,
  DeliveryRecord,
  DeliveryReport,
  Logger,
  Sink,
  SkippedRecords,
} from '../ports.ts';
import { decideBackoffMs } from './backoff.ts';
import { createBacklog } from './backlog.ts';
import { createCursorKeeper, cursorPath, isSameMark, type CursorKeeper } from './cursor.ts';
import { createFeed, type Feed } from './feed.ts';
import { decideGather } from './gathering.ts';
import { openSinkFiles, type Opened } from './opening.ts';
import { createProgress, type Progress, type SinkReport } from './progress.ts';
import { redrive } from './redrive.ts';
import type { Sender } from './sending.ts';
import { settle } from './settling.ts';
import { createSkipping, type Skipping } from './skipping.ts';
import { pause, type Timing } from './timing.ts';
import { createTurns } from './turns.ts';

/** The part of an exporter's configuration that its loop follows. */
export type LoopConfig = Pick<
  ExporterConfig,
  'name' | 'type' | 'required' | 'batch_records_max' | 'batch_bytes_max' | 'retry' | 'bound'
>;

export interface LoopOptions {
  readonly exporter: LoopConfig;
  readonly sink: Sink;
  readonly dataDir: string;
  readonly ledgerDir: string;
  readonly filesystem: Filesystem;
  readonly timing: Timing;
  /** Durable records of the ledger at the start. */
  readonly durable: number;
  readonly log: Logger;
  readonly onChange: (isNewState: boolean) => void;
  readonly onReport: (report: DeliveryReport) => void;
  /** Puts a skip into the ledger before it happens; false when it is not there. */
  readonly recordSkip: (skipped: SkippedRecords) => Promise<boolean>;
}

export interface DeliveryLoop {
  report(): SinkReport;
  /** Says how many records of the ledger are durable. */
  notifyDurable(records: number): void;
  listDeadLetters(limit: number): Promise<readonly DeadLetter[]>;
  /** Sends what gathers from now on as it comes: the agent is stopping. */
  flush(): void;
  /** Sends dead letters once, between two batches or while the loop waits. */
  retryDeadLetters(): Promise<DeadLetterRetry>;
  /** Ends what is at the sink, saves the cursor, closes the sink. */
  stop(): Promise<void>;
}

/** Opens a loop and lets it run. With a cursor that cannot be followed it is `stopped` from the start. */
export async function startLoop(options: LoopOptions): Promise<DeliveryLoop> {
  const progress = createProgress(options.exporter, options.onChange);
  const opened = await openSinkFiles({ ...options, sink: options.exporter.name });
  if (opened.ok) return runLoop(options, progress, opened.value);
  halt(options, progress, opened.error);
  return {
    report: progress.report,
    notifyDurable: () => undefined,
    flush: () => undefined,
    listDeadLetters: () => Promise.resolve([]),
    retryDeadLetters: () => Promise.resolve({ delivered: 0, remaining: 0 }),
    stop: () => options.sink.close(),
  };
}

/** A loop that cannot go on; the others do. */
function halt({ exporter, timing, log }: LoopOptions, progress: Progress, reason: string): void {
  const at = new Date(timing.nowMs()).toISOString();
  progress.change({ state: 'stopped', last_error: reason, last_error_at: at });
  log.error({ sink: exporter.name, reason }, 'delivery to this sink has stopped');
}

function runLoop(
  options: LoopOptions,
  progress: Progress,
  { cursor, letters }: Opened,
): DeliveryLoop {
  const { exporter, sink, timing, filesystem } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const turn = createTurns();
  const sender: Sender = { sink, timing, signal, onReport: options.onReport };
  const keeper: CursorKeeper = createCursorKeeper({
    path: cursorPath(options.dataDir, exporter.name),
    filesystem,
    timing,
    cursor: { ...cursor, dead_letters_rewritten: false },
    onFailed: noteError,
  });
  const feed: Feed = createFeed({
    dir: options.ledgerDir,
    filesystem,
    from: cursor.next,
    recordsMax: exporter.batch_records_max,
    bytesMax: exporter.batch_bytes_max,
  });
  const backlog =
    exporter.bound === undefined || exporter.required
      ? null
      : createBacklog({
          dir: options.ledgerDir,
          filesystem,
          bound: exporter.bound,
          from: cursor.next,
          nowMs: timing.nowMs,
        });
  const skipping: Skipping | null =
    backlog === null
      ? null
      : createSkipping({
          ...options,
          sink: exporter.name,
          backlog,
          keeper,
          feed,
          progress,
          nowMs: timing.nowMs,
          durable: () => durable,
        });
  let durable = options.durable;
  let wake: () => void = () => undefined;
  let isReady = false;
  let { gatherMs = 0 } = sink;
  progress.change({ cursor: cursor.next, dead_letters: letters.count() });

  function noteError(reason: string): void {
    options.log.error({ sink: exporter.name, reason }, 'delivery has trouble');
    progress.change({
      last_error: reason,
      last_error_at: new Date(timing.nowMs()).toISOString(),
    });
  }

  /** Repeats what disk or ledger refuse; null when stopped before it worked. */
  async function insist<T>(work: () => Promise<Result<T, string>>): Promise<T | null> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      const done = await work();
      if (done.ok) return done.value;
      progress.change({ state: 'retrying' });
      noteError(done.error);
      await pause(timing, decideBackoffMs(attempt, exporter.retry, timing.random()), signal);
    }
    return null;
  }

  /** The sink takes up its place, and that it has one is on disk before it gets a record. */
  async function takePlace(): Promise<Result<void, string>> {
    const placed = await sink.place?.restore(cursor.mark);
    if (placed?.ok === false) return placed;
    const mark = placed?.value ?? null;
    // A disk too full for a cursor must not keep a sink from draining that needs nothing noted.
    if (!isSameMark(mark, cursor.mark)) {
      keeper.move({ ...keeper.current(), mark });
      if (!(await keeper.save())) return err('the cursor cannot be written');
    }
    isReady = true;
    return ok(undefined);
  }

  function onSettled(records: readonly DeliveryRecord[]): void {
    const last = records.at(-1);
    if (last === undefined) return;
    const next = last.number + 1;
    letters.pass(next);
    keeper.move({
      next,
      last_hash: last.this_hash,
      mark: sink.place?.current() ?? null,
      dead_letters_rewritten: false,
    });
    progress.change({ cursor: next, oldest_ms: null });
  }

  async function whenMore(): Promise<void> {
    while (keeper.current().next >= durable && !signal.aborted) {
      progress.change({ state: 'idle', oldest_ms: null });
      await new Promise<void>((resume) => (wake = resume));
    }
  }

  /** Waits until a batch is worth its object; false when it is one now. */
  async function gather(records: readonly DeliveryRecord[]): Promise<boolean> {
    const { batch_records_max: recordsMax, batch_bytes_max: bytesMax } = exporter;
    const limits = { gatherMs, recordsMax, bytesMax };
    const wait = decideGather(records, durable, limits, timing.nowMs());
    if (wait === null) return false;
    progress.change({ state: 'idle', oldest_ms: null });
    await feed.seek(keeper.current().next);
    let isDue = false;
    const cancel = timing.after(wait.untilMs - timing.nowMs(), () => {
      isDue = true;
      wake();
    });
    while (!isDue && durable < wait.durable && gatherMs > 0 && !signal.aborted)
      await new Promise<void>((resume) => (wake = resume));
    cancel();
    return true;
  }

  async function deliverAll(): Promise<void> {
    await insist(() => turn(takePlace));
    const settling = {
      sender,
      letters,
      retry: exporter.retry,
      progress,
      log: options.log,
      turn,
      onSettled,
      ...(skipping === null ? {} : { isOver: skipping.isOver }),
    };
    for (await whenMore(); !signal.aborted; await whenMore()) {
      if (skipping !== null) await insist(() => turn(skipping.skip));
      if (keeper.current().next >= durable) continue;
      const records = await insist(() => feed.read(durable));
      const oldest = records?.[0];
      if (records === null || oldest === undefined) continue;
      if (gatherMs > 0 && (await gather(records))) continue;
      const receivedAt = oldest.event.chain.received_at;
      progress.change({ state: 'delivering', oldest_ms: Date.parse(receivedAt) });
      const before = letters.count();
      const isSettled = await settle(settling, records);
      // Given back because too much waits: what is left of it is read again.
      if (!isSettled && !signal.aborted) await feed.seek(keeper.current().next);
      if (isSettled && letters.count() > before) await keeper.save();
    }
  }

  const running = deliverAll().catch((error: unknown) => {
    // A bug, and its message could quote an event: what is told is where it happened.
    const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 4) : [];
    halt(options, progress, `unexpected: ${stack.map((line) => line.trim()).join('; ')}`);
  });

  async function stop(): Promise<void> {
    stopping.abort();
    wake();
    await running;
    await turn(async () => {
      await keeper.save();
      keeper.stop();
      await feed.close();
      await backlog?.close();
      await sink.close();
    });
  }

  async function retryDeadLetters(): Promise<DeadLetterRetry> {
    if (!isReady || signal.aborted) return { delivered: 0, remaining: letters.count() };
    const recordsMax = exporter.batch_records_max;
    try {
      const done = await redrive({ sender, letters, keeper, recordsMax, onFailed: noteError });
      progress.change({
        delivered_total: progress.report().delivered_total + done.delivered,
        dead_letters: done.remaining,
      });
      return done;
    } catch (error) {
      // The old file must not be used any more, and the new one could not take its place.
      stopping.abort();
      halt(options, progress, `${messageOf(error)}; restart the agent`);
      return { delivered: 0, remaining: letters.count() };
    }
  }

  return {
    report: progress.report,
    stop,
    notifyDurable: (records) => {
      durable = Math.max(durable, records);
      wake();
    },
    flush: () => {
      gatherMs = 0;
      wake();
    },
    listDeadLetters: (limit) => letters.list(limit),
    retryDeadLetters: () => turn(retryDeadLetters),
  };
}
