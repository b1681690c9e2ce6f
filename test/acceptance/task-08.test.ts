/** Task 8: the transactional outbox, with kills at the points that matter and the real store of record. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { createReconciler, type StuckReport } from '../../sdk/outbox.ts';
import { deletion, openShop, type Shop } from '../support/outbox.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
beforeEach(async () => {
  await shop.reset();
  await shop.db.query(`INSERT INTO customers VALUES ('c-1'), ('c-2')`);
});
afterAll(() => shop[Symbol.asyncDispose]());

async function countOf(table: string): Promise<number> {
  const { rows } = await shop.db.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return rows[0]?.n ?? -1;
}

async function makeOld(): Promise<void> {
  await shop.db.query(`UPDATE audit_outbox SET recorded_at = recorded_at - interval '1 hour'`);
}

describeTask(8, (criterion) => {
  criterion('business change and outbox row commit together or not at all', async () => {
    const remove = async (end: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
      await shop.db.query('BEGIN');
      await shop.db.query(`DELETE FROM customers WHERE id = 'c-1'`);
      await shop.outbox.recordInTransaction(shop.db, deletion('c-1'));
      expect([await countOf('customers'), await countOf('audit_outbox')]).toEqual([1, 1]);
      await shop.db.query(end);
    };
    await remove('ROLLBACK');
    expect([await countOf('customers'), await countOf('audit_outbox')]).toEqual([2, 0]);
    await remove('COMMIT');
    expect([await countOf('customers'), await countOf('audit_outbox')]).toEqual([1, 1]);
  });

  criterion('after kill -9 between commit and shipping, the restart ships it', async (say) => {
    const app = await shop.startProcess({ mode: 'delete', id: 'c-1' });
    await app.said('committed');
    await app.kill();
    const [row] = await shop.rows();
    expect(row).toMatchObject({ action: 'customer.delete', shipped_at: null });
    expect((await shop.stored()).records.has(row!.event_id)).toBe(false);
    const startedMs = performance.now();
    const relay = await shop.startProcess({ mode: 'relay' });
    await shop.shipped();
    say(`shipped ${Math.round(performance.now() - startedMs)} ms after the restart`);
    await relay.stop();
    expect((await shop.stored()).events.get(row!.event_id)).toBe(1);
  });

  criterion('shipping a row twice gives one record downstream', async (say) => {
    const id = await shop.outbox.recordInTransaction(shop.db, deletion('c-1'));
    const doomed = await shop.startProcess({ mode: 'relay', stopAtMark: true });
    await doomed.said('acked');
    await doomed.kill();
    expect((await shop.rows())[0]?.shipped_at).toBeNull();
    const relay = await shop.startProcess({ mode: 'relay' });
    await shop.shipped();
    await relay.stop();
    const { events, records } = await shop.stored();
    // It did go out twice; every query sees it once.
    expect([events.get(id), records.get(id)]).toEqual([1, 2]);
    say('kill -9 between ack and mark: 2 records sealed, 1 event in the store');
  });

  criterion('it is said which crash windows the outbox closes', () => {
    expectDefence('docs/OUTBOX.md', 'Crash windows', {
      says: [/COMMIT/, /between ack and mark/, /rolled back/, /stays open/, /event_id/],
      names: ['sdk/outbox/shipment.ts', 'store/append.ts', 'test/sdk/outbox-relay.test.ts'],
    });
  });

  criterion('rows that wait too long raise an alert', async () => {
    const id = await shop.outbox.recordInTransaction(shop.db, deletion('c-1'));
    const alerts: StuckReport[] = [];
    const { connect, outbox } = shop;
    await using reconciler = createReconciler({
      connect,
      outbox,
      stuckAfterMs: 60_000,
      onStuck: (report) => alerts.push(report),
    });
    await reconciler.pass();
    expect(alerts).toEqual([]);
    await makeOld();
    await reconciler.pass();
    expect(alerts).toMatchObject([{ count: 1, rows: [{ event_id: id, attempts: 0 }] }]);
  });

  criterion(
    'an external call is recorded as intent and outcome, dangling intents are reconciled',
    async () => {
      await using provider = await startProvider();
      const payment = {
        actor: { type: 'user', id: 'u-17', name: 'Ada' },
        resource: { type: 'payment', id: 'p-1' },
      } as const;
      const intend = () =>
        shop.outbox.recordIntent(shop.db, { ...payment, action: 'payment.charge_request' });
      const charged = { ...payment, action: 'payment.charge', outcome: 'success' } as const;
      const whole = await intend();
      await provider.charge(whole.intent_id);
      await shop.outbox.recordOutcome(shop.db, whole, charged);
      // These two processes died: one after the call, one before it.
      const [after, before] = [await intend(), await intend()];
      await provider.charge(after.intent_id);
      await makeOld();
      const { connect, outbox } = shop;
      await using reconciler = createReconciler({
        connect,
        outbox,
        onDangling: async ({ intent_id }) => ({
          ...charged,
          outcome: (await provider.knows(intent_id)) ? 'success' : 'failure',
        }),
      });
      await reconciler.pass();
      await using _relay = shop.startRelay();
      await shop.shipped();
      await shop.agent.delivered();
      expect(await outcomesInStore()).toEqual(
        new Map([
          [whole.intent_id, ['success']],
          [after.intent_id, ['success']],
          [before.intent_id, ['failure']],
        ]),
      );
    },
  );
});

/** Outcomes of each intent, joined in the store by the id that links them. */
async function outcomesInStore(): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await shop.store.query<{ intent_id: string; outcomes: string[] }>(
    `SELECT i.event_id AS intent_id, array_agg(o.outcome) AS outcomes
     FROM audit.events i JOIN audit.events o
       ON o.payload->'metadata'->>'intent_id' = i.event_id AND o.action = 'payment.charge'
     WHERE i.action = 'payment.charge_request' GROUP BY 1`,
  );
  return new Map(rows.map(({ intent_id, outcomes }) => [intent_id, outcomes]));
}

interface Provider extends AsyncDisposable {
  charge(reference: string): Promise<unknown>;
  knows(reference: string): Promise<boolean>;
}

/** A payment provider on loopback: takes charges, and can be asked about one. */
async function startProvider(): Promise<Provider> {
  const taken = new Set<string>();
  const server = createServer((request, response) => {
    if (request.method === 'POST') taken.add(request.url ?? '');
    response.writeHead(taken.has(request.url ?? '') ? 200 : 404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const ask = (reference: string, method: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/${reference}`, { method });
  return {
    charge: (reference) => ask(reference, 'POST'),
    knows: async (reference) => (await ask(reference, 'GET')).ok,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
