/**
 * Records of purges that stand in another stream: those of an incarnation that is over, in the stream that took its place. When that
 * one is purged in its turn, they stand anew before they go, and what they excuse stays excused.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { purgeAll, type PurgePorts } from '../../agent/retain/purge.ts';
import { ok } from '../../schemas/result.ts';
import { findPurgesToRenew } from '../../store/retention.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { events, openPurgeStore, tenantOf, type PurgeStore } from '../support/purge-store.ts';
import {
  createPurgeableStream,
  preview,
  runPurge,
  type PurgeableStream,
} from '../support/purging.ts';
import type { EventFields } from './sealed.ts';

let bench: PurgeStore;

beforeAll(async () => {
  bench = await openPurgeStore();
});
afterAll(() => bench[Symbol.asyncDispose]());

interface Agent {
  /** Of an incarnation that is over. */
  readonly mine: PurgeableStream;
  /** Of the one after it. */
  readonly next: PurgeableStream;
  /** Carries out what is due; it ends when so many records of purges have been written, never at 0. */
  purge(killedAt?: number): ReturnType<typeof purgeAll>;
}

interface Asked {
  readonly action: string;
  readonly resource: { readonly id: string };
  readonly metadata: NonNullable<EventFields['metadata']>;
}

/** An agent in its second incarnation, which has purged 512 records of the first, but for one that is held. */
async function makeAgent(): Promise<Agent> {
  const mine = await bench.makeStream();
  const label = `f${mine.stream.split('/')[3]?.slice(1) ?? ''}`;
  const next = createPurgeableStream(bench.store, tenantOf(mine), label);
  await next.store(events(10));
  await bench.hold(mine, { actor: 'u-300' });
  const streams = [mine, next];

  function portsOf(killedAt: number): PurgePorts {
    let written = 0;
    return {
      store: bench.clients.retention,
      ownStreams: async () =>
        ok(
          new Map(
            streams.map(({ stream, records: { length } }) => [
              stream,
              { next: length, signed: length, anchored: length },
            ]),
          ),
        ),
      prove: async (stream, said) =>
        ok(await streams.find((one) => one.stream === stream)!.prove(said)),
      record: async (asked) => {
        const { action, resource, metadata } = asked as Asked;
        const category = 'audit_trail';
        await next.store([
          { action, category, resourceType: 'stream', resourceId: resource.id, metadata },
        ]);
        written += 1;
        if (written === killedAt) throw new Error('killed');
        return ok({ stream: next.stream, seq: next.records.length - 1 });
      },
      pause: () => Promise.resolve(),
      nowMs: Date.now,
    };
  }

  const purge: Agent['purge'] = (killedAt = 0) =>
    purgeAll(portsOf(killedAt), { by: 'ada', placesMax: 256, waitMs: 10_000 });
  expect(await purge()).toMatchObject({ value: { done: [{ stream: mine.stream, purged: 511 }] } });
  return { mine, next, purge };
}

const verify = (): ReturnType<typeof verifyStore> =>
  verifyStore({ url: bench.server.url('auditor') });

test.each([0, 1, 2])(
  'the stream with the record is purged, killed after %i records (0: never), and nothing is missing without excuse',
  async (killedAt) => {
    const { mine, next, purge } = await makeAgent();
    await next.store(events(600, 1_000));
    expect(await verify()).toMatchObject({ verdict: 'intact', findings: [] });
    const done: unknown = expect.arrayContaining([
      expect.objectContaining({ stream: next.stream, size: 512, purged: 512 }),
    ]);
    if (killedAt > 0) await expect(purge(killedAt)).rejects.toThrow('killed');
    expect(await purge()).toMatchObject({ value: { done, refusals: [] } });
    expect(await bench.seqsOf(next, 'records')).not.toContain(511);
    const verified = await verify();
    expect(verified).toMatchObject({ verdict: 'intact', findings: [] });
    expect(verified.notes.join()).toContain(`records of ${mine.stream} up to seq 511 were purged`);
    // The last record that tells of it stands behind what went, and once more nothing is due.
    expect(await purge()).toMatchObject({ value: { done: [], refusals: [] } });
    const { retention } = bench.clients;
    const renewed = await findPurgesToRenew(retention, next.stream, next.records.length);
    expect(renewed).toMatchObject({ value: [{ stream: mine.stream, metadata: { size: 512 } }] });
    // Once the hold is lifted, what it kept goes by a record of its own.
    for (const { hold_id } of await holdsOf(mine)) await bench.lift(hold_id);
    expect(await purge()).toMatchObject({ value: { done: [{ stream: mine.stream }] } });
    expect(await verify()).toMatchObject({ verdict: 'intact', findings: [] });
  },
);

test('the store takes no purge that would take the last record of another one', async () => {
  const { mine, next } = await makeAgent();
  await next.store(events(600, 1_000));
  const { retention } = bench.clients;
  const record = await next.recordPurge(await preview(retention, next.stream, 512));
  await expect(runPurge(retention, record)).rejects.toThrow(
    `refused: it would take the record of the purge of ${mine.stream}, which has to be recorded again before`,
  );
  expect(await verify()).toMatchObject({ findings: [] });
});

async function holdsOf(of: PurgeableStream): Promise<readonly { readonly hold_id: string }[]> {
  const { rows } = await bench.clients.admin.query<{ hold_id: string }>(
    'SELECT hold_id FROM audit.active_holds WHERE tenant_id = $1',
    [tenantOf(of)],
  );
  return rows;
}
