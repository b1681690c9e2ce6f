/** Holds and erasures at one moment: a hold is placed before an erasure that sees it, or after one that is done. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { whileHoldsStand, type HeldSubject } from '../../cli/erase-holds.ts';
import { ok } from '../../schemas/result.ts';
import { eventually } from '../support/outbox.ts';
import { events, openPurgeStore, tenantOf, type PurgeStore } from '../support/purge-store.ts';
import type { PurgeableStream } from '../support/purging.ts';

const TOKEN = `sub_${'a'.repeat(26)}`;

let bench: PurgeStore;
beforeAll(async () => {
  bench = await openPurgeStore();
});
afterAll(() => bench[Symbol.asyncDispose]());

/** A stream with one record that names the person. */
const makeStream = (): Promise<PurgeableStream> =>
  bench.makeStream([...events(5), { actor: 'u-9', metadata: { about: TOKEN } }]);

const erase = (of: PurgeableStream, then: (held: readonly HeldSubject[]) => Promise<void>) =>
  whileHoldsStand(
    { dataDir: '/nowhere', store: bench.server.url('legal'), tenant: tenantOf(of) },
    [TOKEN],
    async (held) => ok(await then(held)),
  );

/** Somebody who waits for the lock that keeps holds and erasures apart. */
const someoneWaits = async (): Promise<boolean> => {
  const waiting = await bench.clients.admin.query(
    `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`,
  );
  return waiting.rowCount === 1;
};

test('a hold that is placed while a person is erased is in force after the erasure, not in the middle of it', async () => {
  const of = await makeStream();
  let isPlaced = false;
  let placing: Promise<unknown> | null = null;
  const erased = await erase(of, async (held) => {
    expect(held).toEqual([]);
    placing = bench.hold(of, { actor: 'u-9' }).then(() => (isPlaced = true));
    await eventually(someoneWaits, 'the hold to wait');
    expect(isPlaced).toBe(false);
  });
  expect(erased).toMatchObject({ ok: true });
  await placing;
  expect(isPlaced).toBe(true);
});

test('an erasure waits for a hold that is on its way, and sees it', async () => {
  const of = await makeStream();
  const legal = bench.clients.legal;
  await legal.query('BEGIN');
  await bench.hold(of, { actor: 'u-9' }, 'M-2');
  let seen: readonly HeldSubject[] | null = null;
  const erasing = erase(of, async (held) => {
    seen = held;
    return Promise.resolve();
  });
  await eventually(someoneWaits, 'the erasure to wait');
  expect(seen).toBeNull();
  await legal.query('COMMIT');
  expect(await erasing).toMatchObject({ ok: true });
  expect(seen).toEqual([{ token: TOKEN, matters: ['M-2'] }]);
});
