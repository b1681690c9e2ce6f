/** Task 2: the store takes inserts and nothing else, by privilege and by trigger. */
import type pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import { createSealer } from '../store/sealed.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { draft, openTrail, type Trail } from './trail.ts';

const DENIED = 'permission denied for table records';
let trail: Trail;
let writer: pg.Client;
let admin: pg.Client;
let eventId: string;

beforeAll(async () => {
  trail = await openTrail();
  eventId = (await trail.audit.record(draft({ outcome: 'denied' }))).event_id;
  writer = await trail.connect('writer');
  admin = await trail.connect('admin');
});
afterAll(() => trail[Symbol.asyncDispose]());

const UPDATE = `UPDATE audit.records SET outcome = 'tampered' WHERE event_id = $1`;
const DELETE = `DELETE FROM audit.records WHERE event_id = $1`;

async function outcomes(id: string): Promise<string[]> {
  const found = await writer.query<{ outcome: string }>(
    'SELECT outcome FROM audit.records WHERE event_id = $1',
    [id],
  );
  return found.rows.map(({ outcome }) => outcome);
}

describeTask(2, (criterion) => {
  criterion("INSERT works as the application's role", async () => {
    const { event, eventText, prev_hash, this_hash } = createSealer().seal();
    const inserted = await writer.query(
      `WITH stream AS (
         INSERT INTO audit.streams (stream, tenant_id) VALUES ($1, 'acme') RETURNING stream_id)
       INSERT INTO audit.records (occurred_at, received_at, seq, stream_id, duplicate, event_id,
         tenant_id, actor_type, actor_id, action, category, outcome, resource_type, resource_id,
         prev_hash, this_hash, event_bytes)
       SELECT now(), now(), 0, stream_id, false, $2, 'acme', 'user', 'u-1', 'customer.export',
         'data_access', 'success', 'customer', 'c-1', decode($3, 'hex'), decode($4, 'hex'), $5
       FROM stream`,
      [event.chain.stream, event.event_id, prev_hash, this_hash, eventText],
    );
    expect(inserted.rowCount).toBe(1);
    expect(await outcomes(event.event_id)).toEqual(['success']);
    // And through the agent, which logs in as the same role.
    expect(await outcomes(eventId)).toEqual(['denied']);
  });

  criterion("UPDATE is refused with PostgreSQL's permission error", async () => {
    await expect(writer.query(UPDATE, [eventId])).rejects.toMatchObject({
      code: '42501',
      message: DENIED,
    });
    expect(await outcomes(eventId)).toEqual(['denied']);
  });

  criterion("DELETE is refused with PostgreSQL's permission error", async () => {
    await expect(writer.query(DELETE, [eventId])).rejects.toMatchObject({
      code: '42501',
      message: DENIED,
    });
    expect(await outcomes(eventId)).toEqual(['denied']);
  });

  criterion('it is said why this is access control and not tamper evidence', async () => {
    expectDefence('docs/THREAT_MODEL.md', 'Access control is not tamper evidence', {
      says: [/superuser/, /trigger/, /hash/],
      names: ['store/migrations/0002_append_only.sql', 'store/migrations/0003_access.sql'],
    });
    // What the document says is so: whoever rules the server changes a row, and the store is silent.
    await admin.query('BEGIN');
    await admin.query('ALTER TABLE audit.records DISABLE TRIGGER USER');
    const changed = await admin.query(UPDATE, [eventId]);
    await admin.query('ROLLBACK');
    expect(changed.rowCount).toBe(1);
  });

  criterion('a trigger stops a role that was granted UPDATE and DELETE', async () => {
    await expectTriggerStops('sealtrail_writer', writer);
  });

  criterion('the trigger fires for the owner of the table too', async () => {
    await expectTriggerStops('sealtrail_owner', await trail.connect('owner'));
  });
});

async function expectTriggerStops(role: string, client: pg.Client): Promise<void> {
  await admin.query(`GRANT UPDATE, DELETE ON audit.records TO ${role}`);
  try {
    for (const [sql, what] of [
      [UPDATE, 'UPDATE'],
      [DELETE, 'DELETE'],
    ] as const) {
      await expect(client.query(sql, [eventId])).rejects.toMatchObject({
        message: `${what} on audit.records is refused: the audit store is append-only`,
      });
    }
  } finally {
    await admin.query(`REVOKE UPDATE, DELETE ON audit.records FROM ${role}`);
  }
  expect(await outcomes(eventId)).toEqual(['denied']);
}
