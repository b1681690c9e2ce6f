/** Builds real ledgers on a real disk for tests, with the sealer and writer that the agent uses. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { createSealer, type Sealer } from '../../agent/append/sealer.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { recoverLedger, type Recovered } from '../../ledger/recovery.ts';
import { formatState } from '../../ledger/state.ts';
import { openWriter, type LedgerWriter } from '../../ledger/writer.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { canonicalEvent } from '../../schemas/canonical-event.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import type { Receipt } from '../../schemas/record.ts';

export const TEST_AGENT = { name: 'test', version: '0.0.0', publicKey: 'AAAA' } as const;

/** A temporary folder that is removed when the scope ends. */
export async function makeTempDir(
  parent: string = tmpdir(),
): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(parent, 'sealtrail-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A temporary folder in memory: for trials whose faults are put in above the disk, many and fast. */
export function makeMemoryDir(): ReturnType<typeof makeTempDir> {
  return makeTempDir(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
}

export interface TestLedger {
  readonly dir: string;
  readonly recovered: Recovered;
  readonly writer: LedgerWriter;
  readonly sealer: Sealer;
  readonly producer: string;
  /** Seals and writes one batch; returns the receipts once durable, or the failure's kind. */
  commit(events: readonly AuditEvent[]): Promise<readonly Receipt[] | string>;
  cut(): Promise<void>;
}

/** Recovers and opens a ledger as the agent does. Throws what recovery reports. */
export async function openTestLedger(
  dir: string,
  options: { segmentBytes?: number; filesystem?: Filesystem; batchBytesMax?: number } = {},
): Promise<TestLedger> {
  const filesystem = options.filesystem ?? nodeFilesystem;
  const recovered = await recoverLedger({
    dir,
    filesystem,
    batchBytesMax: options.batchBytesMax ?? 1 << 20,
  });
  if (!recovered.ok) throw Object.assign(new Error(recovered.error.message), recovered.error);
  const { state, segment, segmentBytes } = recovered.value;
  const writer = await openWriter({
    dir,
    filesystem,
    segmentBytes: options.segmentBytes ?? 1 << 26,
    reserveBytes: 4096,
    segment,
    segmentBytesDurable: segmentBytes,
    records: state.records,
  });
  const producer = ulid();
  const sealer = createSealer({
    agent: TEST_AGENT,
    state,
    incarnation: 'f'.repeat(32),
    reason: 'test',
    producer: ulid(),
    nowMs: () => Date.now(),
  });
  let next = 0;

  async function commit(events: readonly AuditEvent[]): Promise<readonly Receipt[] | string> {
    sealer.begin();
    const receipts = events.map((event) =>
      sealer.seal(
        {
          canonical: canonicalEvent(canonicalize(event)),
          tenant: event.resource.tenant_id,
          retention_class: 'standard',
        },
        { id: producer, seq: next++, refused: 0 },
      ),
    );
    const { bytes, records } = sealer.batch();
    const written = await writer.append(bytes, records);
    if (!written.ok) {
      sealer.rollback();
      next -= events.length;
      return written.error.kind;
    }
    sealer.commit();
    return receipts;
  }

  async function cut(): Promise<void> {
    const done = await writer.cut(formatState(state));
    if (!done.ok) throw new Error(done.error.message);
  }

  return { dir, recovered: recovered.value, writer, sealer, producer, commit, cut };
}
