/**
 * The checkpoint thread: hashing, signing and its fsyncs take nothing from the thread that acks. When the
 * stage fails, all it holds in memory is let go and it is started again from what is on disk.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import type { NoteSigner, NoteVerifier } from '../../ledger/signing.ts';
import { assert, assertNever, messageOf } from '../../schemas/result.ts';
import { createSigner, type SigningKey } from '../signing-key.ts';
import type { CheckpointStatus } from '../status-ports.ts';
import { createThreadLog } from '../thread-log.ts';
import { anchorOrigin } from './anchor-log.ts';
import type { CheckpointStart, FromCheckpointThread, ToCheckpointThread } from './protocol.ts';
import { beginRounds, parseKeys } from './anchors/begin.ts';
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

/** Every key that this agent has signed with: what anchors hold is compared under them. */
const logKeys: NoteVerifier[] = [];
addLogKeys(start.vkeys);

/** Witnesses whose bare claim has ended a log. */
const heard = new Set<string>();

let stage: Stage | null = null;
let { durable, keys, incarnation } = start;
/** Whether somebody waits for all to be signed. */
let isAsked = false;
let isStopping = false;
let isPaused = false;
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
    anchor_origin: anchorOrigin(start.agent, incarnation),
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
  const own = incarnation;
  const rounds = await beginRounds({
    config: start.anchors,
    logKeys,
    dir,
    clock,
    log,
    heard,
    onConflict: (origin, reason) => {
      stage?.leaveAnchorLog(origin, reason);
      tell({ kind: 'fork', fork: { stream: origin, reason } });
    },
    onFailed: (reason) => fail(reason),
  });
  const begun = await startStage({
    ...start,
    incarnation: own,
    dir,
    ledgerDir: join(start.dataDir, 'ledger'),
    filesystem: nodeFilesystem,
    clock,
    ...(rounds && { rounds }),
    blindingKey: await loadBlindingKey(),
    signers: signersOf(keys),
    durable,
    log,
    onFailed: fail,
  });
  if (own === incarnation) {
    stage = begun;
    // What was said while it was opened was told to nobody.
    begun.signWith(signersOf(keys));
    begun.notifyDurable(durable);
    if (isAsked) signAll(begun);
  }
  const reason = await Promise.race([failed, stopped]);
  // What another incarnation's records are under is its own anchor log.
  if (own === incarnation) await begun.stop();
  else await begun.abandon();
  await rounds?.stop(reason === null ? ANCHORS_STOP_MS : 0);
  tellStatus();
  stage = null;
  return reason;
}

function addLogKeys(vkeys: readonly string[]): void {
  logKeys.push(...parseKeys(vkeys.filter((vkey) => !logKeys.some((one) => one.vkey === vkey))));
}

function signersOf(some: readonly SigningKey[]): readonly NoteSigner[] {
  return some.map((key) => createSigner(start.agent, key));
}

/** One that fails takes the question along to the next. */
function signAll(of: Stage): void {
  void of.signAll().then((sizes) => {
    isAsked = false;
    tell({ kind: 'signed', sizes: [...sizes] });
  });
}

async function run(): Promise<void> {
  while (!isStopping) {
    const reason = isPaused ? lastError : await runStage().catch(messageOf);
    stage = null;
    if (reason === null && !isPaused) continue;
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
  switch (message.kind) {
    case 'durable':
      durable = Math.max(durable, message.records);
      stage?.notifyDurable(durable);
      return;
    case 'keys':
      ({ keys } = message);
      addLogKeys(signersOf(keys).map(({ vkey }) => vkey));
      stage?.signWith(signersOf(keys));
      return;
    case 'sign_all':
      isAsked = true;
      if (stage !== null) signAll(stage);
      return;
    case 'pause':
      ({ isPaused } = message);
      stage?.pause(isPaused);
      return;
    case 'incarnation':
      ({ incarnation } = message);
      stage = null;
      stopWaiting();
      return;
    case 'stop':
      isStopping = true;
      stopWaiting();
      return;
    default:
      assertNever(message);
  }
});
const timer = setInterval(tellStatus, STATUS_INTERVAL_MS);
await run();
clearInterval(timer);
port.close();
