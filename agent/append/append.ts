/**
 * The append stage: a bounded queue of batches, and a loop that takes what has gathered, seals it,
 * writes it with one write and one fdatasync, and then settles every batch in it (group commit).
 * While one commit is at the disk, the next one gathers.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { formatState, type LedgerState } from '../../ledger/state.ts';
import type { LedgerWriter, WriteFailure } from '../../ledger/writer.ts';
import type { Refusal } from '../../schemas/refusal.ts';
import { messageOf } from '../../schemas/result.ts';
import {
  APPEND_BYTES_MAX,
  type AppendOutcome,
  type Appender,
  type AppendRequest,
  type Logger,
  type Meter,
} from '../ports.ts';
import type { AppendStatus } from '../status-ports.ts';
import {
  AGENT_TENANT,
  agentEvent,
  diskFullEvent,
  type AgentIdentity,
  type OwnEvent,
} from './agent-event.ts';
import { createIntake, type Draft } from './intake.ts';
import type { OriginWindow } from './origin-window.ts';
import { createAppendQueue, ledgerBytesOf, type Gathered, type Waiting } from './queue.ts';
import { refuseTooLarge, refusalOf } from './refusals.ts';
import type { Sealer } from './sealer.ts';

export interface AppendOptions {
  readonly agent: AgentIdentity;
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly writer: LedgerWriter;
  readonly state: LedgerState;
  readonly sealer: Sealer;
  readonly origins: OriginWindow;
  readonly retentionClass: string;
  readonly batchBytesMax: number;
  readonly queueEventsMax: number;
  readonly queueBytesMax: number;
  readonly ledgerBytes: number;
  readonly meter: Meter;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Called after each commit with the number of durable records. */
  readonly onDurable: (records: number) => void;
  /** Called before the reserve is released for the record of a full disk, and when space is back. */
  readonly onDiskFull?: (isFull: boolean) => void;
  /** Called once, when the disk failed for good. */
  readonly onFailed: (reason: string) => void;
}

export interface AppendStage extends Appender {
  /** Records an event of the agent itself; false when the ledger does not take it. */
  recordOwn(
    action: string,
    outcome: OwnEvent['outcome'],
    resource: OwnEvent['resource'],
    metadata: OwnEvent['metadata'],
  ): Promise<boolean>;
  status(): AppendStatus;
  /** Writes nothing more, from now on: the folder may be another process's. */
  halt(reason: string): void;
  /** Commits what is queued, then refuses everything. */
  close(): Promise<void>;
}

/** While the disk is full, how often one batch may try whether space has returned. */
const PROBE_INTERVAL_MS = 250;

/** Creates the append stage over an open writer and a recovered state. */
export function createAppendStage(options: AppendOptions): AppendStage {
  const { writer, state, sealer, meter, log } = options;
  const intake = createIntake(options);
  const queue = createAppendQueue({
    eventsMax: options.queueEventsMax,
    bytesMax: options.queueBytesMax,
    batchBytesMax: options.batchBytesMax,
  });
  let running: Promise<void> | null = null;
  /** Batches that wait for receipts of what was recorded before. */
  const lookups = new Set<Promise<void>>();
  let phase: AppendStatus['state'] = 'ready';
  let lastProbeMs = 0;
  let lastError: string | null = null;
  let lastFsyncMs: number | null = null;
  let lastFsyncAt: string | null = null;
  let ledgerBytes = options.ledgerBytes;

  function append(request: AppendRequest): Promise<readonly AppendOutcome[]> {
    const isTooLarge = ledgerBytesOf(request) > APPEND_BYTES_MAX;
    return new Promise((settle) => {
      queue.push({ request: isTooLarge ? refuseTooLarge(request) : request, settle });
      // One turn of the event loop: what other sockets have ready joins this commit.
      running ??= new Promise<void>((done) => setImmediate(done)).then(runCommits);
    });
  }

  async function runCommits(): Promise<void> {
    while (!queue.isEmpty()) {
      const gathered = queue.gather();
      if (await canWrite()) await commitBatch(gathered);
      else refuseAll(gathered.waiting, refusalOf(phase, lastError));
    }
    running = null;
  }

  /** Whether a write may be tried: always when ready, now and then when the disk is full. */
  async function canWrite(): Promise<boolean> {
    if (phase === 'ready') return true;
    if (phase !== 'disk_full' || performance.now() - lastProbeMs < PROBE_INTERVAL_MS) return false;
    lastProbeMs = performance.now();
    if (!(await canRestoreReserve())) return false;
    const failure = await writeOwn(diskFullEvent(options.agent, 'ended'));
    if (failure !== null) {
      note(failure);
      return false;
    }
    phase = 'ready';
    options.onDiskFull?.(false);
    log.info({}, 'disk space has returned; taking events again');
    return true;
  }

  async function canRestoreReserve(): Promise<boolean> {
    try {
      return await writer.restoreReserve();
    } catch (error) {
      lastError = messageOf(error);
      return false;
    }
  }

  async function commitBatch({ waiting, bytes }: Gathered): Promise<void> {
    await cutIfFull(bytes);
    sealer.begin();
    const drafts = waiting.map(({ request }) => intake.seal(request));
    const failure = await writeSealed();
    if (failure === null) {
      intake.commit();
      settleAll(waiting, drafts);
      return;
    }
    intake.rollback();
    await enterFailure(failure);
    // What came in behind a failed batch fails with it: a later number must not get in before it.
    refuseAll([...waiting, ...queue.drain()], refusalOf(phase, lastError));
  }

  /** Cuts the segment before a batch is sealed: the state kept beside it is that before the batch. */
  async function cutIfFull(bytes: number): Promise<void> {
    if (!writer.isFull(bytes)) return;
    const cut = await writer.cut(formatState(state));
    if (cut.ok) return;
    // No reason to refuse anybody: whether the disk takes the batch shows when it is written.
    lastError = cut.error.message;
    log.warn({ error: lastError }, 'no new segment could be begun; going on in the one in use');
  }

  /** Writes what is sealed; null when durable. On a failure the chain is as it was before. */
  async function writeSealed(): Promise<WriteFailure | null> {
    const { bytes, records } = sealer.batch();
    if (records === 0) return null;
    const written = await writer.append(bytes, records);
    if (!written.ok) {
      sealer.rollback();
      return written.error;
    }
    sealer.commit();
    ledgerBytes += bytes.length;
    lastFsyncMs = written.value.fsyncMs;
    lastFsyncAt = new Date(options.nowMs()).toISOString();
    meter.commit(records, bytes.length, written.value.fsyncMs / 1000);
    if (written.value.retried !== undefined) {
      lastError = written.value.retried;
      log.error({ error: lastError }, 'a write failed; the batch was written to a new segment');
    }
    options.onDurable(state.records);
    return null;
  }

  function settleAll(batch: readonly Waiting[], drafts: readonly (readonly Draft[])[]): void {
    for (const [index, waiting] of batch.entries()) {
      const outcomes = intake.settle(waiting.request, drafts[index] ?? []);
      if (outcomes instanceof Promise) lookUp(outcomes.then((found) => answer(waiting, found)));
      else answer(waiting, outcomes);
    }
  }

  function lookUp(answered: Promise<void>): void {
    lookups.add(answered);
    void answered.then(() => lookups.delete(answered));
  }

  function answer(waiting: Waiting, outcomes: readonly AppendOutcome[]): void {
    let acks = 0;
    for (const outcome of outcomes) {
      if (outcome.kind === 'refused') meter.nacks(outcome.refusal.kind, 1);
      else acks += 1;
    }
    if (acks > 0) meter.acks(acks);
    waiting.settle(outcomes);
  }

  function note(failure: WriteFailure): void {
    lastError = failure.message;
    if (failure.kind === 'storage_failed') fail(failure.message);
  }

  async function enterFailure(failure: WriteFailure): Promise<void> {
    note(failure);
    if (phase !== 'ready') return;
    phase = 'disk_full';
    lastProbeMs = performance.now();
    log.error({ error: lastError }, 'the disk is full; events are refused until space returns');
    options.onDiskFull?.(true);
    try {
      await writer.releaseReserve();
    } catch (error) {
      fail(messageOf(error));
      return;
    }
    const second = await writeOwn(diskFullEvent(options.agent, 'began'));
    if (second !== null) note(second);
  }

  function fail(reason: string): void {
    if (phase === 'failed') return;
    phase = 'failed';
    lastError = reason;
    log.error({ error: reason }, 'the ledger cannot be written; the agent stops taking events');
    options.onFailed(reason);
  }

  /** Commits one event of the agent, null when durable; MUST only run inside the commit loop. */
  async function writeOwn(own: OwnEvent): Promise<WriteFailure | null> {
    sealer.begin();
    const said = { ...own, tenant: AGENT_TENANT };
    const canonical = agentEvent(options.agent, said, options.nowMs());
    sealer.sealOwn({ canonical, tenant: AGENT_TENANT, retention_class: options.retentionClass });
    return writeSealed();
  }

  async function recordNow(own: OwnEvent): Promise<boolean> {
    if (phase === 'failed' || phase === 'stopped') return false;
    const failure = await writeOwn(own);
    if (failure !== null) await enterFailure(failure);
    return failure === null;
  }

  function refuseAll(batch: readonly Waiting[], reason: Refusal): void {
    for (const { request, settle } of batch) {
      meter.nacks(reason.kind, request.events.length);
      settle(request.events.map(() => ({ kind: 'refused', refusal: reason })));
    }
  }

  return {
    append,
    noteRefused: intake.noteRefused,
    hasRoom: queue.hasRoom,
    whenRoom: queue.whenRoom,
    recordOwn: async (action, outcome, resource, metadata) => {
      while (running !== null) await running;
      const own = recordNow({ action, outcome, resource, metadata });
      running = own.then(() => runCommits());
      return own;
    },
    status: () => ({
      records: state.records,
      ledger_bytes: ledgerBytes,
      segment: String(writer.position().segment),
      streams: [...state.streams].map(([stream, { tenant, next_seq, head_hash }]) => ({
        stream,
        tenant,
        next_seq,
        head_hash,
      })),
      queue_events: queue.events(),
      queue_events_max: options.queueEventsMax,
      last_fsync_ms: lastFsyncMs,
      last_fsync_at: lastFsyncAt,
      state: phase,
      last_error: lastError,
    }),
    halt: fail,
    close: async () => {
      while (running !== null || lookups.size > 0) {
        await running;
        await Promise.all(lookups);
      }
      if (phase !== 'failed') phase = 'stopped';
    },
  };
}
