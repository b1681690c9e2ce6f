/** Load for task 13: the chain alone, and durable recording through the whole agent. */
import { join } from 'node:path';
import { GENESIS_PREV_HASH, type ChainHash } from '../../schemas/brand.ts';
import type * as chains from '../../ledger/chain.ts';
import type * as batches from '../../ledger/record-batch.ts';
import { canonicalEvent } from '../../schemas/canonical-event.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { CHAIN_VERSION, type Chain } from '../../schemas/record.ts';
import { makeEvent } from '../support/events.ts';
import { draft, type Trail } from './trail.ts';

const BUILT = join(import.meta.dirname, '../../dist/ledger');
const LINKS = 200_000;
const BATCH_RECORDS = 256;
/** A machine that stands still does so in one of them; the others measure the agent. */
const TRIES = 3;
const TRY_MS = 500;

/** Links a second of CPU time, of events of 750 bytes: place in the stream, and the hash over it. */
export async function measureChain(): Promise<number> {
  // The built file: what the test runner makes of a source is several times slower.
  const { formatChain } = (await import(join(BUILT, 'chain.js'))) as typeof chains;
  const { createRecordBatch } = (await import(join(BUILT, 'record-batch.js'))) as typeof batches;
  const batch = createRecordBatch();
  const metadata = { filter: 'x'.repeat(260) };
  const event = canonicalEvent(canonicalize(makeEvent({ metadata })));
  const producer = { id: '01K00000000000000000000000', seq: 0 };
  let head: ChainHash = GENESIS_PREV_HASH;
  let seq = 0;
  function addLinks(count: number): void {
    for (const end = seq + count; seq < end; seq++) {
      const chain: Chain = {
        v: CHAIN_VERSION,
        stream: 'sealtrail/a/b/c/d',
        seq,
        received_at: '2026-03-01T10:00:00.000Z',
        salt: 'f'.repeat(32),
        producer,
      };
      if (seq % BATCH_RECORDS === 0) batch.clear();
      head = batch.add(event, formatChain(chain), head);
    }
  }
  // Compiled code is what is measured, and CPU time is not disturbed by who else runs.
  addLinks(LINKS);
  const before = process.cpuUsage();
  addLinks(LINKS);
  const { user, system } = process.cpuUsage(before);
  return (LINKS * 1e6) / (user + system);
}

/** Durably acked events a second, from so many SDK instances with so many events in flight each: in the best of some tries. */
export async function measureIngest(
  trail: Trail,
  clients: number,
  inFlight: number,
): Promise<number> {
  const audits = await Promise.all(Array.from({ length: clients }, () => trail.openAudit()));
  let best = 0;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const startMs = performance.now();
    let acked = 0;
    const work = audits.flatMap((audit) =>
      Array.from({ length: inFlight }, async () => {
        while (performance.now() - startMs < TRY_MS) {
          await audit.record(draft());
          acked += 1;
        }
      }),
    );
    await Promise.all(work);
    best = Math.max(best, (acked * 1000) / (performance.now() - startMs));
  }
  return best;
}
