/**
 * The checkpoint thread: hashing, signing and its fsyncs take nothing from the thread that acks. When the
 * stage fails, all it holds in memory is let go and it is started again from what is on disk.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import { assert, messageOf } from '../../schemas/result.ts';
import type { CheckpointStatus } from '../status-ports.ts';
import { createThreadLog } from '../thread-log.ts';
import { anchorOrigin } from './anchor-log.ts';
import type { CheckpointStart, FromCheckpointThread, ToCheckpointThread } from './protocol.ts';
import { beginRounds } from './anchors/begin.ts';
import { startStage, type Stage, type StageClock } from './stage.ts';

const STATUS_INTERVAL_MS = 250;
const RETRY_MS = 1_000;
/** What anchors get at a stop for the last checkpoint; the next start publishes it to those that did not take it. */
const ANCHORS_STOP_MS = 1_000;
const BLINDING_KEY_BYTES = 32;

assert(parentPort !== null, 'worker.ts runs in a thread of its own');
const port = parentPort;
// The main thread of this build sent it.
const start = workerData as CheckpointStart;
const dir = join(start.dataDir, 'checkpoints');
const tell = (message: FromCheckpointThread): void => port.postMessage(message);
const log = createThreadLog(tell);

const clock: StageClock = {
  nowMs: Date.now,
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

let stage: Stage | null = null;
let { durable } = start;
let isStopping = false;
let lastError: string | null = null;
let stopWaiting: () => void = () => undefined;
let told = '';

function status(): CheckpointStatus {
  if (stage !== null) return stage.status();
  return {
    state: lastError === null ? 'starting' : 'retrying',
    records: 0,
    lag_records: durable,
    streams: 0,
    signed_at: null,
    anchor_origin: anchorOrigin(start.agent, start.incarnation),
    anchor_size: 0,
    anchored_at: null,
    anchors: null,
    last_error: lastError,
  };
}

function tellStatus(): void {
  const now = status();
  const text = JSON.stringify(now);
  if (text === told) return;
  told = text;
  tell({ kind: 'status', status: now });
}

/** The key that blinds streams in the anchor log, made at the first start. */
async function loadBlindingKey(): Promise<Buffer> {
  const path = join(dir, 'blinding.key');
  if (!(await nodeFilesystem.exists(path)))
    await nodeFilesystem.replace(path, `${randomBytes(BLINDING_KEY_BYTES).toString('hex')}\n`);
  const key = Buffer.from((await nodeFilesystem.readFile(path)).toString('utf8').trim(), 'hex');
  if (key.length === BLINDING_KEY_BYTES) return key;
  throw new Error(`${path} holds no key of ${BLINDING_KEY_BYTES} bytes in hex`);
}

/** Runs one stage until it fails or is to stop; why it failed, or null. */
async function runStage(): Promise<string | null> {
  let fail: (reason: string) => void = () => undefined;
  const failed = new Promise<string>((settle) => (fail = settle));
  const stopped = new Promise<null>((settle) => (stopWaiting = () => settle(null)));
  if (isStopping) return null;
  await nodeFilesystem.makeDir(dir);
  const { signingKey } = start;
  const name = `sealtrail/${start.agent}`;
  const signer = createLogSigner(name, publicBytesOf(signingKey), signWithKey(signingKey));
  const rounds = await beginRounds({
    config: start.anchors,
    logVkeys: [signer.vkey],
    dir,
    clock,
    log,
    onConflict: (origin, reason) => {
      stage?.leaveAnchorLog(origin, reason);
      tell({ kind: 'fork', fork: { stream: origin, reason } });
    },
    onFailed: (reason) => fail(reason),
  });
  stage = await startStage({
    ...start,
    dir,
    ledgerDir: join(start.dataDir, 'ledger'),
    filesystem: nodeFilesystem,
    clock,
    ...(rounds && { rounds }),
    blindingKey: await loadBlindingKey(),
    signers: [signer],
    durable,
    log,
    onFailed: fail,
  });
  // What became durable while it was opened was told to nobody.
  stage.notifyDurable(durable);
  const reason = await Promise.race([failed, stopped]);
  const ending = stage;
  await ending.stop();
  await rounds?.stop(reason === null ? ANCHORS_STOP_MS : 0);
  tellStatus();
  stage = null;
  return reason;
}

async function run(): Promise<void> {
  while (!isStopping) {
    const reason = await runStage().catch(messageOf);
    stage = null;
    if (reason === null) return;
    if (reason !== lastError)
      log.error(
        { component: 'checkpoint', reason },
        'checkpoints wait; events are taken all the same',
      );
    lastError = reason;
    tellStatus();
    await new Promise<void>((resume) => {
      const timer = setTimeout(resume, RETRY_MS);
      stopWaiting = () => {
        clearTimeout(timer);
        resume();
      };
    });
  }
}

port.on('message', (message: ToCheckpointThread) => {
  if (message.kind === 'durable') {
    durable = Math.max(durable, message.records);
    stage?.notifyDurable(durable);
    return;
  }
  isStopping = true;
  stopWaiting();
});
const timer = setInterval(tellStatus, STATUS_INTERVAL_MS);
await run();
clearInterval(timer);
port.close();
