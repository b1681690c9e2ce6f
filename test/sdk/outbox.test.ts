/** The outbox's writing side, in real transactions: with the business change or not at all, and never raw. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { AuditFailure } from '../../sdk/index.ts';
import { createOutbox, outboxSchema } from '../../sdk/outbox.ts';
import { readRecords } from '../support/outcome.ts';
import { deletion, openShop, type Shop } from '../support/outbox.ts';

let shop: Shop;
let db: pg.Client;

beforeAll(async () => {
  shop = await openShop();
  db = shop.db;
});
beforeEach(async () => {
  await shop.reset();
  await db.query(`INSERT INTO customers VALUES ('c-1'), ('c-2')`);
});
afterAll(() => shop[Symbol.asyncDispose]());

async function customers(): Promise<readonly string[]> {
  const { rows } = await db.query<{ id: string }>('SELECT id FROM customers ORDER BY id');
  return rows.map(({ id }) => id);
}

async function deleteCustomer(client: pg.Client, id: string): Promise<string> {
  await client.query('BEGIN');
  await client.query('DELETE FROM customers WHERE id = $1', [id]);
  return shop.outbox.recordInTransaction(client, deletion(id));
}

it('a change and its event commit together', async () => {
  const eventId = await deleteCustomer(db, 'c-1');
  await db.query('COMMIT');
  expect(await customers()).toEqual(['c-2']);
  expect(await shop.rows()).toMatchObject([
    { event_id: eventId, action: 'customer.delete', shipped_at: null, attempts: 0, lane: null },
  ]);
});

it('a change that is rolled back takes its event with it', async () => {
  await deleteCustomer(db, 'c-1');
  expect(await shop.rows()).toHaveLength(1);
  await db.query('ROLLBACK');
  expect([await customers(), await shop.rows()]).toEqual([['c-1', 'c-2'], []]);
});

it('a connection that dies in mid-transaction leaves neither', async () => {
  const client = await shop.connect();
  await deleteCustomer(client, 'c-1');
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  await db.query('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
  await expect(client.query('COMMIT')).rejects.toThrow();
  expect([await customers(), await shop.rows()]).toEqual([['c-1', 'c-2'], []]);
});

it('the row holds what record() would have sent, byte for byte, and nothing raw', async () => {
  const secret = deletion('c-1', {
    event_id: '01JZZZZZZZZZZZZZZZZZZZZZZZ',
    time: '2026-03-01T10:00:00.000Z',
    metadata: { ssn: '078-05-1120', password: 'hunter2hunter2', note: 'Ärger mit "Zitat"' },
  });
  await shop.audit.record(secret);
  await shop.outbox.recordInTransaction(db, secret);
  const sealed = (await readRecords(`${shop.agent.dir}/ledger`)).find(
    ({ event }) => event.event_id === secret.event_id,
  );
  const { chain: _, ...event } = sealed!.event;
  const [row] = await shop.rows();
  expect(JSON.parse(row!.line)).toEqual(event);
  expect(row!.occurred_at).toEqual(new Date('2026-03-01T10:00:00.000Z'));
  const { rows } = await db.query<{ whole: string }>('SELECT o::text AS whole FROM audit_outbox o');
  expect(rows[0]!.whole).toContain('ssn_token');
  expect(rows[0]!.whole).not.toMatch(/078-05-1120|hunter2/);
});

it('a savepoint that is taken back takes its event with it, and no other', async () => {
  await db.query('BEGIN');
  const kept = await shop.outbox.recordInTransaction(db, deletion('c-1'));
  await db.query('SAVEPOINT here');
  await shop.outbox.recordInTransaction(db, deletion('c-2'));
  await db.query('ROLLBACK TO here');
  await db.query('COMMIT');
  expect((await shop.rows()).map(({ event_id }) => event_id)).toEqual([kept]);
});

it('of two serializable transactions that exclude each other, one leaves change and event', async () => {
  const [one, two] = [await shop.connect(), await shop.connect()];
  for (const [client, id] of [
    [one, 'c-1'],
    [two, 'c-2'],
  ] as const) {
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    // Each deletes one, on condition that both are there.
    expect((await client.query('SELECT id FROM customers')).rows).toHaveLength(2);
    await client.query('DELETE FROM customers WHERE id = $1', [id]);
    await shop.outbox.recordInTransaction(client, deletion(id));
  }
  await one.query('COMMIT');
  await expect(two.query('COMMIT')).rejects.toMatchObject({ code: '40001' });
  expect(await customers()).toEqual(['c-2']);
  expect((await shop.rows()).map(({ line }) => JSON.parse(line).resource.id)).toEqual(['c-1']);
  for (const client of [one, two]) await client.end();
});

it('a draft with a fault is refused before any statement, and the transaction goes on', async () => {
  const failures: AuditFailure[] = [];
  const audit = await shop.openAudit({ onAuditFailure: (failure) => failures.push(failure) });
  const outbox = createOutbox(audit);
  await db.query('BEGIN');
  for (const [wrong, code] of [
    [deletion(''), 'incomplete_event'],
    [deletion('c-1', { action: 'customer.delet' }), 'unknown_action'],
  ] as const)
    await expect(outbox.recordInTransaction(db, wrong)).rejects.toMatchObject({ code });
  await outbox.recordInTransaction(db, deletion('c-1'));
  await db.query('COMMIT');
  expect(failures.map(({ error }) => error.code)).toEqual(['incomplete_event', 'unknown_action']);
  expect(await shop.rows()).toHaveLength(1);
});

it('any driver will do that runs a text with values: as a function, and with ? for parameters', async () => {
  await shop.outbox.recordInTransaction((text, values) => db.query(text, values), deletion('c-1'));
  // As knex has it: each ? takes the next value.
  const raw = (text: string, values: unknown[]): Promise<unknown> => {
    let n = 0;
    const numbered = text.replaceAll('?', () => `$${++n}`);
    expect(n).toBe(values.length);
    return db.query(numbered, values);
  };
  const knexLike = (text: string, values: unknown[]): Promise<unknown> =>
    raw(text.replaceAll(/\$\d+/g, '?'), values);
  await shop.outbox.recordInTransaction(knexLike, deletion('c-2'), { lane: 'c-2' });
  const { action: _, ...rest } = deletion('c-3');
  const intent = await shop.outbox.recordIntent(knexLike, {
    ...rest,
    action: 'payment.charge_request',
  });
  await shop.outbox.recordOutcome(knexLike, intent, { ...rest, action: 'payment.charge' });
  expect((await shop.rows()).map(({ lane, intent_id }) => [lane, intent_id])).toEqual([
    [null, null],
    ['c-2', null],
    [null, intent.intent_id],
    [null, intent.intent_id],
  ]);
});

it('a denied event survives the rollback when it is recorded outside of the transaction', async () => {
  const denied = deletion('c-1', { outcome: 'denied' });
  await db.query('BEGIN');
  await db.query(`DELETE FROM customers WHERE id = 'c-1'`);
  const { event_id } = await shop.audit.record(denied);
  await db.query('ROLLBACK');
  expect((await shop.stored()).events.get(event_id)).toBe(1);
  // A connection of its own does as well: its row is a transaction by itself.
  await db.query('BEGIN');
  const other = await shop.connect();
  const kept = await shop.outbox.recordInTransaction(other, denied);
  await db.query('ROLLBACK');
  await other.end();
  expect((await shop.rows()).map((row) => row.event_id)).toEqual([kept]);
});

it('a denied event written inside of the transaction vanishes with it', async () => {
  await db.query('BEGIN');
  const lost = await shop.outbox.recordInTransaction(db, deletion('c-1', { outcome: 'denied' }));
  expect((await shop.rows()).map((row) => row.event_id)).toEqual([lost]);
  await db.query('ROLLBACK');
  await using relay = shop.startRelay();
  // The control: the relay runs, and ships what was committed.
  const kept = await shop.outbox.recordInTransaction(db, deletion('c-1', { outcome: 'denied' }));
  await shop.shipped();
  const { events } = await shop.stored();
  expect([events.get(kept), events.has(lost)]).toEqual([1, false]);
  expect(relay.stats().lastError).toBeNull();
});

it('the agent need not run while the application commits', async () => {
  const audit = await shop.openAudit({ socketPath: '/nowhere/agent.sock' });
  await createOutbox(audit).recordInTransaction(db, deletion('c-1'));
  expect(await shop.rows()).toHaveLength(1);
  expect(audit.stats()).toMatchObject({ pending: 0, failures: 0, connected: false });
});

it('the schema can be applied twice, under another name, and takes no other text for a name', async () => {
  await db.query('CREATE SCHEMA crm');
  const sql = outboxSchema({ table: 'crm.trail_outbox' });
  await db.query(sql);
  await db.query(sql);
  const outbox = createOutbox(shop.audit, { table: 'crm.trail_outbox' });
  await outbox.recordInTransaction(db, deletion('c-1'));
  const { rows } = await db.query('SELECT action FROM crm.trail_outbox');
  expect(rows).toEqual([{ action: 'customer.delete' }]);
  for (const table of ['a;drop table customers', 'Mixed', 'a.b.c', '"quoted"'])
    expect(() => outboxSchema({ table })).toThrow(
      expect.objectContaining({ code: 'options_invalid' }),
    );
});

it('takes the Audit itself, and says so to anything around it', () => {
  expect(() => createOutbox({ ...shop.audit })).toThrow(
    expect.objectContaining({ code: 'options_invalid' }),
  );
});
