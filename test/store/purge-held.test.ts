/**
 * A hold on all that a purge was to take, placed once the purge was recorded: it is recorded anew, that nothing goes. Else the record
 * that was not carried out would be the newest one, and excuse whoever takes what is held.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { purgeAll, type PurgePorts } from '../../agent/retain/purge.ts';
import { ok } from '../../schemas/result.ts';
import { stepPurge } from '../../store/retention.ts';
import { openPurgeStore, type PurgeStore } from '../support/purge-store.ts';
import { LONG_AGO, preview, runPurge, type PurgeableStream } from '../support/purging.ts';
import type { EventFields } from './sealed.ts';

let bench: PurgeStore;
beforeAll(async () => void (bench = await openPurgeStore()));
afterAll(() => bench[Symbol.asyncDispose]());

const OF = 'stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)';

interface Asked {
  readonly action: string;
  readonly resource: { readonly id: string };
  readonly metadata: NonNullable<EventFields['metadata']>;
}

/** Carries out what is due of the stream, as its agent does. */
function purge(of: PurgeableStream): ReturnType<typeof purgeAll> {
  const { stream, records } = of;
  const sizes = (): { next: number; signed: number; anchored: number } => {
    const { length } = records;
    return { next: length, signed: length, anchored: length };
  };
  const ports: PurgePorts = {
    store: bench.clients.retention,
    ownStreams: () => Promise.resolve(ok(new Map([[stream, sizes()]]))),
    prove: async (_, said) => ok(await of.prove(said)),
    record: async (asked) => {
      const { action, resource, metadata } = asked as Asked;
      const said = { action, category: 'audit_trail', resourceType: 'stream', metadata };
      const receivedAt = new Date().toISOString();
      await of.store([{ ...said, resourceId: resource.id, receivedAt }]);
      return ok({ stream, seq: records.length - 1 });
    },
    pause: () => Promise.resolve(),
    nowMs: Date.now,
  };
  return purgeAll(ports, { by: 'ada', placesMax: 256, waitMs: 10_000 });
}

test.each([
  ['before its first step', 0],
  ['between two of its steps', 1],
])('%s: what is held is missed, whoever takes it', async (_, steps) => {
  const mine = await bench.makeStream(
    Array.from({ length: 600 }, (__, n) => ({ actor: `u-${n}`, time: LONG_AGO })),
  );
  const record = await mine.recordPurge(await preview(bench.clients.retention, mine.stream, 512));
  for (let step = 0; step < steps; step += 1)
    expect(await stepPurge(bench.clients.retention, record, 256)).toMatchObject({ ok: true });
  await bench.hold(mine, {});
  await expect(runPurge(bench.clients.retention, record)).rejects.toThrow('refused');
  expect(await bench.verify(mine)).toMatchObject({ verdict: 'cannot_tell' });

  expect(await purge(mine)).toMatchObject({ value: { done: [{ purged: 0 }], refusals: [] } });
  const held = await bench.seqsOf(mine, 'records');
  expect(held).toHaveLength(600 - 256 * steps + 2);
  expect(await bench.verify(mine)).toMatchObject({ verdict: 'intact', findings: [] });
  // Once is enough.
  expect(await purge(mine)).toMatchObject({ value: { done: [], refusals: [] } });

  await bench.tamper('records', `DELETE FROM audit.records WHERE seq < 512 AND ${OF}`, [
    mine.stream,
  ]);
  const robbed = await bench.verify(mine);
  expect(robbed.verdict).toBe('broken');
  expect(robbed.findings.map(({ kind }) => kind)).toContain('deleted');
});
