/**
 * The delivery thread: one loop a sink, and messages to and from the main thread. What fails here
 * without being caught ends the thread, and the main thread hears of it.
 */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import type { ExporterConfig } from '../../schemas/exporter-config.ts';
import { assert, assertNever, messageOf } from '../../schemas/result.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import type { DeadLetter, DeadLetterRetry, Sink, SkippedRecords } from '../ports.ts';
import { createThreadLog } from '../thread-log.ts';
import { startLoop, type DeliveryLoop } from './loop.ts';
import type { Answer, FromWorker, SinkChange, ToWorker, WorkerStart } from './protocol.ts';
import { openSink } from './sinks/open.ts';
import { createThrottle, realTiming } from './timing.ts';
import { createTurns } from './turns.ts';

/** Status goes to the main thread at most this often, and at each change of a sink's state. */
const STATUS_INTERVAL_MS = 250;

assert(parentPort !== null, 'worker.ts runs in a thread of its own');
const port = parentPort;
// The main thread of this build sent it.
const start = workerData as WorkerStart;
const tell = (message: FromWorker): void => port.postMessage(message);

const log = createThreadLog(tell);

/** A running loop and what it was opened with. */
interface Running {
  readonly exporter: ExporterConfig;
  readonly vocabulary: Vocabulary;
  readonly loop: DeliveryLoop;
}

let running: readonly Running[] = [];
let { durable, vocabulary } = start;
const turn = createTurns();
let isStopping = false;
const status = createThrottle(realTiming, STATUS_INTERVAL_MS, () =>
  tell({ kind: 'sinks', sinks: running.map(({ loop }) => loop.report()) }),
);

const skips = new Map<number, (isRecorded: boolean) => void>();
let lastSkip = 0;

/** Only the main thread writes the ledger. */
function recordSkip(skipped: SkippedRecords): Promise<boolean> {
  const id = ++lastSkip;
  return new Promise((settle) => {
    skips.set(id, settle);
    tell({ kind: 'skip', id, skipped });
  });
}

function settleSkip(id: number, isRecorded: boolean): void {
  skips.get(id)?.(isRecorded);
  skips.delete(id);
}

const open = (exporter: ExporterConfig): Promise<Sink> =>
  openSink(exporter, {
    ...start,
    vocabulary,
    log,
    onFork: (fork) => tell({ kind: 'fork', fork }),
  });

const begin = async (exporter: ExporterConfig, sink: Sink): Promise<Running> => ({
  exporter,
  vocabulary,
  loop: await startLoop({
    exporter,
    sink,
    dataDir: start.dataDir,
    ledgerDir: join(start.dataDir, 'ledger'),
    filesystem: nodeFilesystem,
    timing: realTiming,
    durable,
    log,
    onChange: (isNewState) => (isNewState ? status.callNow() : status.call()),
    onReport: (report) => tell({ kind: 'report', report }),
    recordSkip,
  }),
});

async function startLoops(): Promise<readonly Running[]> {
  for (const folder of ['cursors', 'dead-letter'])
    await nodeFilesystem.makeDir(join(start.dataDir, folder));
  await nodeFilesystem.syncDir(start.dataDir);
  return Promise.all(
    start.exporters.map(async (exporter) => begin(exporter, await open(exporter))),
  );
}

/** What maps nothing has no use for another vocabulary. */
const isSame = (one: Running, exporter: ExporterConfig): boolean =>
  isDeepStrictEqual(one.exporter, exporter) &&
  (exporter.type === 'postgresql' || one.vocabulary === vocabulary);

/** Ends and begins loops until they are those of the list; cursors carry over what they have done. */
async function change(to: SinkChange): Promise<void> {
  if (isStopping) throw new Error('the agent is stopping');
  const before = vocabulary;
  if (!isDeepStrictEqual(vocabulary, to.vocabulary)) vocabulary = to.vocabulary;
  const kept = to.exporters.map((exporter) => running.find((one) => isSame(one, exporter)));
  const opened = new Map<ExporterConfig, Sink>();
  try {
    for (const [at, exporter] of to.exporters.entries())
      if (kept[at] === undefined) opened.set(exporter, await open(exporter));
  } catch (error) {
    vocabulary = before;
    await Promise.all([...opened.values()].map((sink) => sink.close()));
    throw error;
  }
  // All that end have ended before one begins: two must not write to one file.
  const ending = running.filter((one) => !kept.includes(one));
  await Promise.all(ending.map(({ loop }) => loop.stop()));
  running = running.filter((one) => kept.includes(one));
  const begun = to.exporters.map(async (exporter, at) => {
    const sink = opened.get(exporter);
    return kept[at] ?? begin(exporter, sink ?? (await open(exporter)));
  });
  running = await Promise.all(begun).catch((error: unknown) => {
    // Some have ended and some not begun: this thread must not go on as if nothing had happened. The
    // agent ends with it, and the next start takes all up from their cursors.
    const reason = messageOf(error);
    setImmediate(() => {
      throw new Error(`sinks could not be begun again: ${reason}`);
    });
    throw error;
  });
  // What became durable in between was told to those that ran then.
  for (const { loop } of running) loop.notifyDurable(durable);
  status.callNow();
}

const named = (sink: string | undefined): readonly DeliveryLoop[] =>
  running
    .map(({ loop }) => loop)
    .filter((loop) => sink === undefined || loop.report().name === sink);

async function list(sink: string | undefined, limit: number): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (const loop of named(sink)) {
    letters.push(...(await loop.listDeadLetters(limit - letters.length)));
  }
  return letters;
}

/** All sinks at once: one that is down costs the others nothing. */
async function retry(sink: string | undefined): Promise<DeadLetterRetry> {
  const done = await Promise.all(named(sink).map((loop) => loop.retryDeadLetters()));
  return {
    delivered: done.reduce((sum, one) => sum + one.delivered, 0),
    remaining: done.reduce((sum, one) => sum + one.remaining, 0),
  };
}

async function stop(): Promise<void> {
  isStopping = true;
  await turn(() => Promise.all(running.map(({ loop }) => loop.stop())));
  status.callNow();
  port.close();
}

/** Answers a question; a disk that fails is an answer too. */
async function answer(id: number, find: () => Promise<Answer>): Promise<void> {
  try {
    tell(await find());
  } catch (error) {
    tell({ kind: 'refused', id, reason: messageOf(error) });
  }
}

async function obey(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'durable':
      durable = Math.max(durable, message.records);
      for (const { loop } of running) loop.notifyDurable(durable);
      return;
    case 'list': {
      const { id, sink, limit } = message;
      await answer(id, async () => ({ kind: 'listed', id, letters: await list(sink, limit) }));
      return;
    }
    case 'retry': {
      const { id, sink } = message;
      await answer(id, async () => ({ kind: 'retried', id, result: await retry(sink) }));
      return;
    }
    case 'skip_recorded':
      settleSkip(message.id, message.isRecorded);
      return;
    case 'change': {
      const { id } = message;
      await answer(id, async () => {
        await turn(() => change(message));
        return { kind: 'changed', id };
      });
      return;
    }
    case 'flush':
      for (const { loop } of running) loop.flush();
      return;
    case 'stop':
      await stop();
      return;
    default:
      assertNever(message);
  }
}

running = await startLoops();
// What is not caught here becomes the thread's end, as it should.
port.on('message', (message: ToWorker) => void obey(message));
status.callNow();
tell({ kind: 'ready' });
