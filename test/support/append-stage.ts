/** An append stage over a real folder, wired as the agent wires it. */
import { ulid } from 'ulid';
import { createAppendStage, type AppendStage } from '../../agent/append/append.ts';
import { createOriginWindow, type OriginWindow } from '../../agent/append/origin-window.ts';
import { createSealer } from '../../agent/append/sealer.ts';
import type { AdmittedEvent, Logger, Meter } from '../../agent/ports.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { recoverLedger } from '../../ledger/recovery.ts';
import { openWriter } from '../../ledger/writer.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { canonicalEvent } from '../../schemas/canonical-event.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { TEST_AGENT } from './ledger.ts';

export interface CountingMeter extends Meter {
  readonly counts: { acks: number; nacks: Record<string, number>; commits: number; gaps: number };
}

export function createCountingMeter(): CountingMeter {
  const counts: CountingMeter['counts'] = { acks: 0, nacks: {}, commits: 0, gaps: 0 };
  return {
    counts,
    acks: (count) => (counts.acks += count),
    nacks: (kind, count) => (counts.nacks[kind] = (counts.nacks[kind] ?? 0) + count),
    commit: () => (counts.commits += 1),
    producerGap: (count) => (counts.gaps += count),
    connection: () => undefined,
  };
}

export const silentLog: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export interface TestStage {
  readonly stage: AppendStage;
  readonly origins: OriginWindow;
  readonly meter: CountingMeter;
  readonly failures: string[];
  readonly durable: number[];
  close(): Promise<void>;
}

export async function openTestStage(
  dir: string,
  options: {
    filesystem?: Filesystem;
    queueEventsMax?: number;
    queueBytesMax?: number;
    segmentBytes?: number;
    nowMs?: () => number;
  } = {},
): Promise<TestStage> {
  const filesystem = options.filesystem ?? nodeFilesystem;
  const origins = createOriginWindow();
  const recovered = await recoverLedger({
    dir,
    filesystem,
    batchBytesMax: 1 << 23,
    onRecord: (event, { this_hash }) => {
      const { stream, seq } = event.chain;
      if (event.origin)
        origins.remember(event.resource.tenant_id, event.origin, { stream, seq, this_hash });
      origins.commit();
    },
  });
  if (!recovered.ok) throw new Error(recovered.error.message);
  const { state, segment, segmentBytes, ledgerBytes } = recovered.value;
  const writer = await openWriter({
    dir,
    filesystem,
    segmentBytes: options.segmentBytes ?? 1 << 26,
    reserveBytes: 4096,
    segment,
    segmentBytesDurable: segmentBytes,
    records: state.records,
  });
  await writer.restoreReserve();
  const meter = createCountingMeter();
  const failures: string[] = [];
  const durable: number[] = [];
  const nowMs = options.nowMs ?? Date.now;
  const incarnation = 'f'.repeat(32);
  const stage = createAppendStage({
    agent: TEST_AGENT,
    dir,
    filesystem,
    writer,
    state,
    sealer: createSealer({
      agent: TEST_AGENT,
      state,
      incarnation,
      reason: 'test',
      producer: ulid(),
      nowMs,
    }),
    origins,
    retentionClass: 'standard',
    batchBytesMax: 1 << 22,
    queueEventsMax: options.queueEventsMax ?? 10_000,
    queueBytesMax: options.queueBytesMax ?? 1 << 26,
    ledgerBytes,
    meter,
    log: silentLog,
    nowMs,
    onDurable: (records) => durable.push(records),
    onFailed: (reason) => failures.push(reason),
  });
  return {
    stage,
    origins,
    meter,
    failures,
    durable,
    close: async () => {
      await stage.close();
      await writer.close();
    },
  };
}

/** What admission hands over for an event. */
export function admitted(event: AuditEvent): { ok: true; value: AdmittedEvent } {
  return {
    ok: true,
    value: {
      tenant: event.resource.tenant_id,
      retention_class: 'standard',
      canonical: canonicalEvent(canonicalize(event)),
      ...(event.origin === undefined ? {} : { origin: event.origin }),
    },
  };
}
