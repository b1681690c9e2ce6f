/**
 * The append stage: a bounded queue of batches, and a loop that takes what has gathered, seals it,
 * writes it with one write and one fdatasync, and then settles every batch in it (group commit).
 * While one commit is at the disk, the next one gathers.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { formatState, type LedgerState } from '../../ledger/state.ts';
import type { LedgerWriter, WriteFailure } from '../../ledger/writer.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { messageOf } from '../../schemas/result.ts';
import type {
  AppendOutcome,
  Appender,
  AppendRequest,
  AppendStatus,
  Logger,
  Meter,
} from '../ports.ts';
import { AGENT_TENANT, agentEventText, type AgentIdentity } from './agent-event.ts';
import { createIntake, type Draft } from './intake.ts';
import { createAppendQueue, type Gathered, type Waiting } from './queue.ts';
import type { OriginWindow } from './origin-window.ts';
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
  readonly ledgerBytes: number;
  readonly meter: Meter;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Called after each commit with the number of durable records. */
  readonly onDurable: (records: number) => void;
  /** Called once, when the disk failed for good. */
  readonly onFailed: (reason: string) => void;
}

export interface AppendStage extends Appender {
  /** Records an event of the agent itself; false when the ledger does not take it. */
  recordOwn(
    action: string,
    outcome: 'success' | 'failure',
    resource: { readonly type: string; readonly id: string },
    metadata: Readonly<Record<string, string | number>>,
  ): Promise<boolean>;
  status(): AppendStatus;
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
    batchBytesMax: options.batchBytesMax,
  });
  let running: Promise<void> | null = null;
  let phase: AppendStatus['state'] = 'ready';
  let lastProbeMs = 0;
  let lastError: string | null = null;
  let lastFsyncMs: number | null = null;
  let lastFsyncAt: string | null = null;
  let ledgerBytes = options.ledgerBytes;

  function append(request: AppendRequest): Promise<readonly AppendOutcome[]> {
    return new Promise((settle) => {
      queue.push({ request, settle });
      // One turn of the event loop: what other sockets have ready joins this commit.
      running ??= new Promise<void>((done) => setImmediate(done)).then(runCommits);
    });
  }

  async function runCommits(): Promise<void> {
    while (!queue.isEmpty()) {
      const gathered = queue.gather();
      if (await canWrite()) await commitBatch(gathered);
      else refuseAll(gathered.waiting, currentRefusal());
    }
    running = null;
  }

  /** Whether a write may be tried: always when ready, now and then when the disk is full. */
  async function canWrite(): Promise<boolean> {
    if (phase === 'ready') return true;
    if (phase !== 'disk_full') return false;
    if (performance.now() - lastProbeMs < PROBE_INTERVAL_MS) return false;
    lastProbeMs = performance.now();
    try {
      // The reserve fits again: space has returned.
      if (!(await writer.restoreReserve())) return false;
    } catch (error) {
      fail(messageOf(error));
      return false;
    }
    phase = 'ready';
    log.info({}, 'disk space has returned; taking events again');
    return commitOwn('ledger.disk_full', 'success', { state: 'ended' });
  }

  async function commitBatch({ waiting, bytes }: Gathered): Promise<void> {
    let failure = await cutIfFull(bytes);
    if (failure === null) {
      sealer.begin();
      intake.begin();
      const drafts = waiting.map(({ request }) => intake.seal(request));
      failure = await writeSealed();
      if (failure === null) {
        await settleAll(waiting, drafts);
        return;
      }
      intake.rollback();
    }
    // What waits behind a failed batch fails with it: a later number must never get in before it.
    const behind = queue.drain();
    await enterFailure(failure);
    refuseAll([...waiting, ...behind], currentRefusal());
  }

  /** Cuts the segment before a batch is sealed: the state kept beside it is that before the batch. */
  async function cutIfFull(bytes: number): Promise<WriteFailure | null> {
    if (!writer.isFull(bytes)) return null;
    const cut = await writer.cut(formatState(state));
    return cut.ok ? null : cut.error;
  }

  /** Writes what is sealed; null when durable. On a failure the chain is as it was before. */
  async function writeSealed(): Promise<WriteFailure | null> {
    const { text, records } = sealer.batch();
    if (records === 0) return null;
    const bytes = Buffer.from(text);
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

  async function settleAll(
    batch: readonly Waiting[],
    drafts: readonly (readonly Draft[])[],
  ): Promise<void> {
    for (let index = 0; index < batch.length; index++) {
      const waiting = batch[index];
      const drafted = drafts[index];
      if (waiting === undefined || drafted === undefined) continue;
      const outcomes = await intake.settle(waiting.request, drafted);
      countOutcomes(outcomes);
      waiting.settle(outcomes);
    }
  }

  function countOutcomes(outcomes: readonly AppendOutcome[]): void {
    let acks = 0;
    for (const outcome of outcomes) {
      if (outcome.kind === 'refused') meter.nacks(outcome.refusal.kind, 1);
      else acks += 1;
    }
    if (acks > 0) meter.acks(acks);
  }

  async function enterFailure(failure: WriteFailure): Promise<void> {
    lastError = failure.message;
    if (failure.kind === 'storage_failed') {
      fail(failure.message);
      return;
    }
    phase = 'disk_full';
    lastProbeMs = performance.now();
    log.error(
      { error: failure.message },
      'the disk is full; events are refused until space returns',
    );
    try {
      await writer.releaseReserve();
    } catch (error) {
      fail(messageOf(error));
      return;
    }
    await commitOwn('ledger.disk_full', 'failure', { state: 'began' });
  }

  function fail(reason: string): void {
    if (phase === 'failed') return;
    phase = 'failed';
    lastError = reason;
    log.error({ error: reason }, 'the ledger cannot be written; the agent stops taking events');
    options.onFailed(reason);
  }

  /** Commits one event of the agent; must only run inside the commit loop. */
  async function commitOwn(
    action: string,
    outcome: 'success' | 'failure',
    metadata: Readonly<Record<string, string | number>>,
    resource: { readonly type: string; readonly id: string } = {
      type: 'ledger',
      id: options.agent.name,
    },
  ): Promise<boolean> {
    sealer.begin();
    const said = { action, outcome, tenant: AGENT_TENANT, resource, metadata };
    const canonical = agentEventText(options.agent, said, options.nowMs());
    sealer.sealOwn({ canonical, tenant: AGENT_TENANT, retention_class: options.retentionClass });
    const failure = await writeSealed();
    if (failure === null) return true;
    lastError = failure.message;
    if (failure.kind === 'storage_failed') fail(failure.message);
    else phase = 'disk_full';
    return false;
  }

  function currentRefusal(): Refusal {
    if (phase === 'disk_full') {
      return refusal(
        'disk_full',
        'the ledger has no space left; free or add disk, events are taken again by themselves',
      );
    }
    if (phase === 'stopped')
      return refusal('shutting_down', 'the agent is stopping; send again when it is back');
    return refusal(
      'storage_failed',
      `the ledger cannot be written: ${lastError ?? 'unknown'}; see the agent's log`,
    );
  }

  function refuseAll(batch: readonly Waiting[], reason: Refusal): void {
    for (const { request, settle } of batch) {
      const outcomes = request.events.map((): AppendOutcome => ({
        kind: 'refused',
        refusal: reason,
      }));
      meter.nacks(reason.kind, outcomes.length);
      settle(outcomes);
    }
  }

  return {
    append,
    noteRefused: (producer, seqs) => {
      intake.noteRefused(producer, seqs);
    },
    hasRoom: queue.hasRoom,
    whenRoom: queue.whenRoom,
    recordOwn: async (action, outcome, resource, metadata) => {
      while (running !== null) await running;
      const own = commitOwn(action, outcome, metadata, resource);
      running = own.then(() => runCommits());
      return own;
    },
    status: () => ({
      records: state.records,
      ledger_bytes: ledgerBytes,
      segment: String(writer.position().segment),
      streams: [...state.streams].map(([stream, head]) => ({
        stream,
        tenant: head.tenant,
        next_seq: head.next_seq,
        head_hash: head.head_hash,
      })),
      queue_events: queue.events(),
      queue_events_max: options.queueEventsMax,
      last_fsync_ms: lastFsyncMs,
      last_fsync_at: lastFsyncAt,
      state: phase,
      last_error: lastError,
    }),
    close: async () => {
      while (running !== null) await running;
      if (phase !== 'failed') phase = 'stopped';
    },
  };
}
