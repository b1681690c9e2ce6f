/**
 * Opens the ledger for appending: recovery, the writer, the sealer and the append stage over them. A
 * torn tail that recovery cut off becomes an event of its own before anything else is taken.
 */
import { randomBytes } from 'node:crypto';
import { ulid } from 'ulid';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { recoverLedger, type RecoveryError, type TornTail } from '../../ledger/recovery.ts';
import { openWriter } from '../../ledger/writer.ts';
import type { Config } from '../../schemas/config.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { APPEND_BYTES_MAX, type Logger, type Meter } from '../ports.ts';
import { AGENT_RETENTION_CLASS, type AgentIdentity } from './agent-event.ts';
import { createAppendStage, type AppendStage } from './append.ts';
import { createDiskWatch, type AskSpace, type DiskWatch } from './disk-watch.ts';
import { createOriginWindow, ORIGINS_MAX, type OriginWindow } from './origin-window.ts';
import { limitWriter, type LimitedWriter } from './quota.ts';
import { createSealer, lastIncarnation } from './sealer.ts';

export interface OpenedLedger {
  readonly append: AppendStage;
  readonly disk: DiskWatch;
  readonly origins: OriginWindow;
  /** Durable records when it was opened. */
  readonly records: number;
  readonly torn: TornTail | null;
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
}

/** Bytes waiting for a commit, at which receivers stop reading, however few events they are. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Streams that a commit may open beside its events. */
const GENESIS_BYTES = 1024 * 1024;

/** Opens the ledger in a folder, empty or not. Nothing is appended to a ledger that is corrupt. */
export async function openLedger(options: OpenOptions): Promise<Result<OpenedLedger, string>> {
  const { dir, config, log } = options;
  const filesystem = options.filesystem ?? nodeFilesystem;
  const origins = createOriginWindow();
  const recovered = await recoverLedger({
    dir,
    filesystem,
    batchBytesMax: Math.max(config.batch_bytes_max, APPEND_BYTES_MAX) + GENESIS_BYTES,
    recordsReadMin: ORIGINS_MAX,
    onRecord: ({ chain, origin, resource }, { this_hash }) => {
      if (origin === undefined) return;
      const { stream, seq } = chain;
      origins.remember(resource.tenant_id, origin, { stream, seq, this_hash });
      origins.commit();
    },
  });
  if (!recovered.ok) return err(describeObstacle(dir, recovered.error));
  const { state, segment, segmentBytes, ledgerBytes, torn, notes } = recovered.value;
  for (const note of notes) log.warn({ component: 'ledger' }, note);
  let writer: LimitedWriter;
  let disk: DiskWatch;
  try {
    disk = await createDiskWatch({ ...options, quota: config.quota });
    const unlimited = await openWriter({
      dir,
      filesystem,
      segmentBytes: config.segment_bytes,
      reserveBytes: config.reserve_bytes,
      segment,
      segmentBytesDurable: segmentBytes,
      records: state.records,
    });
    writer = limitWriter(unlimited, {
      dir,
      filesystem,
      reserveBytes: config.reserve_bytes,
      roomBytes: config.batch_bytes_max,
      quota: disk.quota,
    });
    await writer.measure();
    if (!(await writer.restoreReserve()))
      log.warn({ component: 'ledger' }, 'no space for the reserve: the disk is nearly full');
  } catch (error) {
    return err(`cannot write in ${dir}: ${messageOf(error)}`);
  }
  const known = lastIncarnation(state);
  const sealer = createSealer({
    agent: options.agent,
    state,
    incarnation: known ?? randomBytes(16).toString('hex'),
    reason: known === null ? 'first start' : 'first record of this tenant and retention class',
    producer: ulid(),
    nowMs: options.nowMs,
  });
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
    ledgerBytes,
  });
  const records = state.records;
  if (torn !== null) await recordRecovery(append, torn, log);
  await disk.start(writer);
  return ok({
    append,
    disk,
    origins,
    records,
    torn,
    close: async () => {
      disk.stop();
      await append.close();
      await writer.close();
    },
  });
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
