/** A real ledger of benchmark events, made with the agent's own sealer and writer. */
import { monotonicFactory, ulid } from 'ulid';
import { createSealer } from '../agent/append/sealer.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { SEGMENT_BYTES_DEFAULT } from '../ledger/segment.ts';
import { emptyState, formatState } from '../ledger/state.ts';
import { openWriter } from '../ledger/writer.ts';
import { canonicalize } from '../schemas/canonical.ts';
import { canonicalEvent } from '../schemas/canonical-event.ts';
import { SCHEMA_VERSION, type AuditEvent } from '../schemas/event.ts';
import { benchDraft } from './event.ts';

const COMMIT_RECORDS = 2_000;
/** Plain ulid() draws sixteen times from the system's random source, which takes 50 us. */
const nextEventId = monotonicFactory();

/** Writes a ledger of `records` events or a few more (one genesis a stream); returns how many. */
export async function fillLedger(dir: string, records: number): Promise<number> {
  await nodeFilesystem.makeDir(dir);
  const state = emptyState();
  const writer = await openWriter({
    dir,
    filesystem: nodeFilesystem,
    segmentBytes: SEGMENT_BYTES_DEFAULT,
    reserveBytes: 0,
    segment: null,
    segmentBytesDurable: 0,
    records: 0,
  });
  const sealer = createSealer({
    agent: { name: 'bench', version: '0', publicKey: '' },
    state,
    incarnation: '0'.repeat(32),
    reason: 'benchmark',
    producer: ulid(),
    nowMs: Date.now,
  });
  const producer = ulid();
  let batchBytes = 0;
  for (let next = 0; next < records;) {
    // Before anything is sealed, as the agent does: the state kept beside a segment is that at its start.
    if (writer.isFull(batchBytes)) await writer.cut(formatState(state));
    sealer.begin();
    for (const end = Math.min(next + COMMIT_RECORDS, records); next < end; next++) {
      const event = benchEvent(next);
      sealer.seal(
        {
          canonical: canonicalEvent(canonicalize(event)),
          tenant: event.resource.tenant_id,
          retention_class: 'standard',
        },
        { id: producer, seq: next, refused: 0 },
      );
    }
    const batch = sealer.batch();
    batchBytes = batch.bytes.length;
    const written = await writer.append(batch.bytes, batch.records);
    if (!written.ok) throw new Error(written.error.message);
    sealer.commit();
  }
  await writer.close();
  return state.records;
}

/** The draft of the benchmarks, completed as the SDK completes it. */
export function benchEvent(n: number): AuditEvent {
  const { action, outcome, actor, resource, source, correlation, metadata } = benchDraft(n);
  return {
    schema_version: SCHEMA_VERSION,
    event_id: nextEventId(),
    event: { action, category: 'data_access', outcome, time: new Date().toISOString() },
    actor: { type: 'user', id: '', name: '', ...actor, on_behalf_of: null },
    resource: { ...resource, tenant_id: resource.tenant_id ?? '' },
    source: {
      ip: null,
      user_agent: null,
      service: 'bench',
      service_version: '1.0.0',
      ...source,
    },
    correlation: { request_id: null, trace_id: null, ...correlation },
    metadata: metadata ?? {},
  };
}
