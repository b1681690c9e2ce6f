/**
 * The delivery thread: one loop a sink, and messages to and from the main thread. What fails here
 * without being caught ends the thread, and the main thread hears of it.
 */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { assert, assertNever, messageOf } from '../../schemas/result.ts';
import type { DeadLetter, DeadLetterRetry, Logger, SkippedRecords } from '../ports.ts';
import { startLoop, type DeliveryLoop } from './loop.ts';
import type { Answer, FromWorker, ToWorker, WorkerStart } from './protocol.ts';
import { openSink } from './sinks/open.ts';
import { createThrottle, realTiming } from './timing.ts';

/** Status goes to the main thread at most this often, and at each change of a sink's state. */
const STATUS_INTERVAL_MS = 250;

assert(parentPort !== null, 'worker.ts runs in a thread of its own');
const port = parentPort;
// The main thread of this build sent it.
const start = workerData as WorkerStart;
const tell = (message: FromWorker): void => port.postMessage(message);

const say =
  (level: keyof Logger) =>
  (fields: object, message: string): void =>
    tell({ kind: 'log', level, fields, message });
const log: Logger = {
  debug: say('debug'),
  info: say('info'),
  warn: say('warn'),
  error: say('error'),
};

let loops: readonly DeliveryLoop[] = [];
const status = createThrottle(realTiming, STATUS_INTERVAL_MS, () =>
  tell({ kind: 'sinks', sinks: loops.map((loop) => loop.report()) }),
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

async function startLoops(): Promise<readonly DeliveryLoop[]> {
  for (const folder of ['cursors', 'dead-letter'])
    await nodeFilesystem.makeDir(join(start.dataDir, folder));
  await nodeFilesystem.syncDir(start.dataDir);
  return Promise.all(
    start.exporters.map((exporter) =>
      startLoop({
        exporter,
        sink: openSink(exporter, { ...start, log }),
        dataDir: start.dataDir,
        ledgerDir: join(start.dataDir, 'ledger'),
        filesystem: nodeFilesystem,
        timing: realTiming,
        durable: start.durable,
        log,
        onChange: (isNewState) => (isNewState ? status.callNow() : status.call()),
        onReport: (report) => tell({ kind: 'report', report }),
        recordSkip,
      }),
    ),
  );
}

const named = (sink: string | undefined): readonly DeliveryLoop[] =>
  loops.filter((loop) => sink === undefined || loop.report().name === sink);

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
  await Promise.all(loops.map((loop) => loop.stop()));
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
      for (const loop of loops) loop.notifyDurable(message.records);
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
    case 'stop':
      await stop();
      return;
    default:
      assertNever(message);
  }
}

loops = await startLoops();
// What is not caught here becomes the thread's end, as it should.
port.on('message', (message: ToWorker) => void obey(message));
status.callNow();
tell({ kind: 'ready' });
