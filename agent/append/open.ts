/**
 * Opens the ledger for appending: recovery, the writer, the sealer and the append stage over them. A
 * torn tail that recovery cut off, or a rollback that a witness shows, becomes an event of its own
 * before anything else is taken.
 */
import { randomBytes } from 'node:crypto';
import { ulid } from 'ulid';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import {
  recoverLedger,
  type Recovered,
  type RecoveryError,
  type TornTail,
} from '../../ledger/recovery.ts';
import { openWriter, type LedgerWriter } from '../../ledger/writer.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import type { Config } from '../../schemas/config.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import {
  APPEND_BYTES_MAX,
  type Fork,
  type LastIncarnation,
  type Logger,
  type Meter,
  type StartDoubt,
} from '../ports.ts';
import { AGENT_RETENTION_CLASS, AGENT_TENANT, type AgentIdentity } from './agent-event.ts';
import { createAppendStage, type AppendStage } from './append.ts';
import { createSeenHashes, findDoubt, type Witness } from './continuity.ts';
import { createDiskWatch, type AskSpace, type DiskWatch } from './disk-watch.ts';
import { createHeadKeeper } from './head-file.ts';
import { createOriginWindow, ORIGINS_MAX, type OriginWindow } from './origin-window.ts';
import { limitWriter, type LimitedWriter } from './quota.ts';
import { createSealer, lastIncarnation } from './sealer.ts';

export interface OpenedLedger {
  readonly append: AppendStage;
  readonly disk: DiskWatch;
  readonly origins: OriginWindow;
  /** The one that records are sealed in now. */
  readonly incarnation: string;
  /** Durable records when it was opened. */
  readonly records: number;
  /** `this_hash` of the last of them; null in an empty ledger. */
  readonly lastHash: ChainHash | null;
  readonly torn: TornTail | null;
  /** Why a new incarnation was begun, where a witness had more than the ledger; null else. */
  readonly rollback: string | null;
  /**
   * Begins a new incarnation where a sink found a place of the present one taken; resolves with the
   * reason on record, or null where that was done before.
   */
  leaveFork(fork: Fork): Promise<string | null>;
  /** Refuses new events, commits what is queued, closes the file. */
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly dir: string;
  readonly config: Config['ledger'];
  readonly agent: AgentIdentity;
  readonly meter: Meter;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly onDurable: (records: number) => void;
  readonly onFailed: (reason: string) => void;
  readonly filesystem?: Filesystem;
  /** Asks for the size of the file system; default: the one that the folder lies on. */
  readonly askSpace?: AskSpace;
  /** What is known of the ledger outside of it. */
  readonly witnesses?: readonly Witness[];
  /** Asks the anchors of the incarnation that the ledger ends in; null: it may go on. */
  readonly askAnchors?: (last: LastIncarnation) => Promise<StartDoubt | null>;
}

/** Bytes waiting for a commit, at which receivers stop reading, however few events they are. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Streams that a commit may open beside its events. */
const GENESIS_BYTES = 1024 * 1024;

/** Opens the ledger in a folder, empty or not. Nothing is appended to a ledger that is corrupt. */
export async function openLedger(options: OpenOptions): Promise<Result<OpenedLedger, string>> {
  const { config, log } = options;
  const filesystem = options.filesystem ?? nodeFilesystem;
  const origins = createOriginWindow();
  const read = await recover(options, filesystem, origins);
  if (!read.ok) return read;
  const { state, torn, notes, lastHash, rollback, unconfirmed } = read.value;
  for (const note of notes) log.warn({ component: 'ledger' }, note);
  const opened = await openForWriting(options, filesystem, read.value);
  if (!opened.ok) return opened;
  const { writer, disk } = opened.value;
  const doubt = rollback ?? unconfirmed;
  if (unconfirmed !== null)
    log.warn({ component: 'ledger', reason: unconfirmed }, 'a new incarnation begins');
  const known = doubt === null ? lastIncarnation(state) : null;
  const sealer = createSealer({
    agent: options.agent,
    state,
    incarnation: known ?? newIncarnation(),
    reason:
      doubt ?? (known === null ? 'first start' : 'first record of this tenant and retention class'),
    producer: ulid(),
    nowMs: options.nowMs,
  });
  const { head_file: path } = config;
  const isDurable = (): boolean => !sealer.isAhead();
  const heads =
    path === undefined
      ? null
      : createHeadKeeper({ ...sealer, path, filesystem, state, isDurable, log });
  const append = createAppendStage({
    ...options,
    filesystem,
    retentionClass: AGENT_RETENTION_CLASS,
    writer,
    state,
    sealer,
    origins,
    batchBytesMax: config.batch_bytes_max,
    queueEventsMax: config.queue_events_max,
    queueBytesMax: QUEUE_BYTES_MAX,
    ledgerBytes: read.value.ledgerBytes,
    onDurable: (records) => {
      heads?.note();
      options.onDurable(records);
    },
  });
  const records = state.records;
  if (torn !== null) await recordRecovery(append, torn, log);
  if (rollback !== null) await recordRollback(append, rollback, options);
  await disk.start(writer);
  return ok({
    append,
    disk,
    origins,
    incarnation: sealer.incarnation(),
    records,
    lastHash,
    torn,
    rollback,
    leaveFork: async ({ stream, reason }) => {
      if (stream.split('/')[2] !== sealer.incarnation()) return null;
      const why = `rollback: ${reason}`;
      sealer.renew(newIncarnation(), why);
      await recordRollback(append, why, options);
      return why;
    },
    close: async () => {
      disk.stop();
      await append.close();
      await heads?.close();
      await writer.close();
    },
  });
}

const newIncarnation = (): string => randomBytes(16).toString('hex');

interface Read extends Recovered {
  readonly lastHash: ChainHash | null;
  readonly rollback: string | null;
  readonly unconfirmed: string | null;
}

/** Reads what is there, and asks the witnesses whether it is all there was. */
async function recover(
  options: OpenOptions,
  filesystem: Filesystem,
  origins: OriginWindow,
): Promise<Result<Read, string>> {
  const { dir, config, witnesses = [] } = options;
  const seen = createSeenHashes(witnesses);
  let lastHash: ChainHash | null = null;
  let isClean = true;
  const recovered = await recoverLedger({
    dir,
    filesystem,
    batchBytesMax: Math.max(config.batch_bytes_max, APPEND_BYTES_MAX) + GENESIS_BYTES,
    recordsReadMin: ORIGINS_MAX,
    onRecord: ({ chain, origin, resource, event }, { this_hash }) => {
      const { stream, seq } = chain;
      lastHash = this_hash;
      seen.take(stream, seq, this_hash);
      if (resource.tenant_id === AGENT_TENANT) isClean = isStopped(event.action) ?? isClean;
      if (origin === undefined) return;
      origins.remember(resource.tenant_id, origin, { stream, seq, this_hash });
      origins.commit();
    },
  });
  if (!recovered.ok) return err(describeObstacle(dir, recovered.error));
  const { state } = recovered.value;
  const rollback = findDoubt(state, seen, witnesses);
  const incarnation = lastIncarnation(state);
  const doubt =
    rollback === null && incarnation !== null
      ? ((await options.askAnchors?.({ incarnation, isClean })) ?? null)
      : null;
  const reason = doubt && `${doubt.kind}: ${doubt.reason}`;
  return ok({
    ...recovered.value,
    lastHash,
    rollback: rollback ?? (doubt?.kind === 'unconfirmed' ? null : reason),
    unconfirmed: doubt?.kind === 'unconfirmed' ? reason : null,
  });
}

/** Whether an event of the agent says that it ended, or that it began; null: neither. */
function isStopped(action: string): boolean | null {
  if (action === 'agent.stopped') return true;
  return action === 'agent.started' ? false : null;
}

/** The writer at the ledger's end, with its quota, and the watch over its disk. */
async function openForWriting(
  options: OpenOptions,
  filesystem: Filesystem,
  { state, segment, segmentBytes }: Recovered,
): Promise<Result<{ readonly writer: LimitedWriter; readonly disk: DiskWatch }, string>> {
  const { dir, config, log } = options;
  let unlimited: LedgerWriter | null = null;
  try {
    const disk = await createDiskWatch({ ...options, quota: config.quota });
    unlimited = await openWriter({
      dir,
      filesystem,
      segmentBytes: config.segment_bytes,
      reserveBytes: config.reserve_bytes,
      segment,
      segmentBytesDurable: segmentBytes,
      records: state.records,
    });
    const writer = limitWriter(unlimited, {
      dir,
      filesystem,
      reserveBytes: config.reserve_bytes,
      roomBytes: config.batch_bytes_max,
      quota: disk.quota,
    });
    await writer.measure();
    if (!(await writer.restoreReserve()))
      log.warn({ component: 'ledger' }, 'no space for the reserve: the disk is nearly full');
    return ok({ writer, disk });
  } catch (error) {
    await unlimited?.close();
    return err(`cannot write in ${dir}: ${messageOf(error)}`);
  }
}

/** The old incarnation's places are taken elsewhere: nothing more is chained there. */
async function recordRollback(
  append: AppendStage,
  reason: string,
  { agent, log }: OpenOptions,
): Promise<void> {
  log.error(
    { component: 'ledger', reason },
    'the ledger is older than what has left it, or lives twice: a copy was put in place. A new incarnation begins; keep the folder and find out why',
  );
  const resource = { type: 'ledger', id: agent.name };
  await append.recordOwn('ledger.rolled_back', 'failure', resource, { reason });
}

async function recordRecovery(append: AppendStage, torn: TornTail, log: Logger): Promise<void> {
  log.warn(
    { component: 'ledger', segment: torn.segment, byte: torn.byte, bytes: torn.bytes },
    `a torn tail, never acked, was set aside in ${torn.kept_in}`,
  );
  await append.recordOwn(
    'ledger.recovered',
    'success',
    { type: 'segment', id: torn.segment },
    { byte: torn.byte, bytes: torn.bytes, kept_in: torn.kept_in, sha256: torn.sha256 },
  );
}

function describeObstacle(dir: string, error: RecoveryError): string {
  if (error.kind === 'io') return error.message;
  return (
    `the ledger in ${dir} is corrupt at ${error.segment}, line ${error.line} (byte ${error.byte}): ${error.message}. ` +
    'Nothing was changed and nothing is appended to it. Run `sealtrail verify` on it, keep the folder as evidence, ' +
    'and start with another data directory or a restored copy.'
  );
}
