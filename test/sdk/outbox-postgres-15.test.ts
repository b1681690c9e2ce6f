/** The outbox on the oldest PostgreSQL that is supported, with roles that may do no more than they need. */
import pg from 'pg';
import { expect } from 'vitest';
import { createReconciler } from '../../sdk/outbox.ts';
import { until } from '../support/agent-peer.ts';
import { testWhere } from '../support/host.ts';
import { deletion, openShop } from '../support/outbox.ts';
import { hasPostgres15, startPostgres15 } from '../support/postgres-15.ts';

const test = testWhere(hasPostgres15, 'PostgreSQL 15 is not installed');

test('PostgreSQL 15: application, relay and reconciler work with the privileges of the page, and no more', async () => {
  await using server = await startPostgres15();
  await using shop = await openShop(server.url);
  await shop.db.query(`
    CREATE ROLE app LOGIN; CREATE ROLE relay LOGIN; CREATE ROLE reconciler LOGIN;
    GRANT INSERT (event_id, action, occurred_at, line, lane, intent_id) ON audit_outbox TO app;
    GRANT SELECT, UPDATE ON audit_outbox TO relay;
    GRANT SELECT, INSERT, UPDATE, DELETE ON audit_outbox TO reconciler;
    GRANT USAGE ON SEQUENCE audit_outbox_id_seq TO app, reconciler`);
  const connectAs = async (role: string): Promise<pg.Client> => {
    const url = new URL(server.url);
    url.username = role;
    const client = new pg.Client(url.href);
    await client.connect();
    return client;
  };

  const app = await connectAs('app');
  await app.query('BEGIN');
  const id = await shop.outbox.recordInTransaction(app, deletion('c-1'), { lane: 'c-1' });
  const intent = await shop.outbox.recordIntent(app, {
    ...deletion('c-2'),
    action: 'payment.charge_request',
  });
  await app.query('COMMIT');
  await shop.outbox.recordOutcome(app, intent, {
    ...deletion('c-2'),
    action: 'payment.charge',
  });
  const columns = 'event_id, action, occurred_at, line';
  for (const sql of [
    'UPDATE audit_outbox SET line = $1',
    'DELETE FROM audit_outbox WHERE $1 = $1',
    // A row that no relay looks at, and one that is never stuck.
    `INSERT INTO audit_outbox (${columns}, shipped_at) VALUES ($1, $1, now(), $1, now())`,
    `INSERT INTO audit_outbox (${columns}, recorded_at) VALUES ($1, $1, now(), $1, 'infinity')`,
  ])
    await expect(app.query(sql, ['x'])).rejects.toMatchObject({ code: '42501' });
  await app.end();

  const errors: string[] = [];
  const onError = ({ message }: Error): void => void errors.push(message);
  await using relay = shop.startRelay({ connect: () => connectAs('relay'), onError });
  await until(() => relay.stats().shipped === 3, 'three rows to be shipped');
  await relay.stop();
  expect((await shop.stored()).events.get(id)).toBe(1);

  await using reconciler = createReconciler({
    outbox: shop.outbox,
    connect: () => connectAs('reconciler'),
    stuckAfterMs: 0,
    danglingAfterMs: 0,
    keepShippedMs: 0,
    onError,
  });
  const { stuck, dangling } = await reconciler.pass();
  expect([stuck.count, dangling.found]).toEqual([0, 0]);
  expect(await shop.rows()).toEqual([]);
  expect(errors).toEqual([]);
});
