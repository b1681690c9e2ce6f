/** To whom tickets were assigned, which a function looks up past row-level security: each login learns of its own tenants. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer } from '../store/sealed.ts';
import { KINDS, PASSWORD, startKind, type KindServer } from '../support/store-kinds.ts';

const LONG = `${'ö'.repeat(240)}-one`;
const OTHER = `${'ö'.repeat(240)}-two`;
const QUOTED = `O'Brien "x" \\`;

async function ticketsOf(url: string, tenant: string, actor: string): Promise<string[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ ticket: string }>(
      `SELECT ticket FROM audit.assignments($1, $2, 'infinity') ORDER BY 1`,
      [tenant, actor],
    );
    return rows.map(({ ticket }) => ticket);
  } finally {
    await client.end();
  }
}

describe.each(KINDS)('%s', (kind) => {
  let server: KindServer;
  let admin: pg.Client;

  beforeAll(async () => {
    server = await startKind(kind);
    const store = createPostgresStore({
      url: server.url('sealtrail_writer'),
      ownerUrl: server.url('sealtrail_owner'),
    });
    const migrated = await store.migrate();
    if (!migrated.ok) throw new Error(migrated.error.message);
    const assign = { action: 'ticket.assign', resourceType: 'ticket' };
    const said = (assignee: string, more = {}) => ({
      metadata: { assignee, customer: 'c-1', ...more },
    });
    const [acme, zeta] = ['acme', 'zeta'].map((tenant) => createSealer(undefined, tenant));
    const records = [
      acme!.seal({ ...assign, resourceId: 'T-1', ...said('u-1') }),
      acme!.seal({ ...assign, resourceId: 'T-2', ...said(LONG) }),
      acme!.seal({ ...assign, resourceId: 'T-3', ...said(OTHER) }),
      acme!.seal({ ...assign, resourceId: 'T-4', ...said(QUOTED) }),
      acme!.seal({ ...assign, resourceId: 'T-5', ...said('u-2', { note: 'a\u0000b' }) }),
      acme!.seal({ ...assign, resourceId: 'T-6', ...said('u-3', { a: { assignee: 'u-4' } }) }),
      acme!.seal({ ...assign, resourceId: 'T-7', outcome: 'denied', ...said('u-1') }),
      acme!.seal({ ...assign, resourceId: 'T-8', metadata: { assignee: { id: 'u-1' } } }),
      zeta!.seal({ ...assign, resourceId: 'T-9', ...said('u-1') }),
    ];
    const stored = await store.appendRecords(records);
    if (!stored.ok || stored.value.stored !== records.length)
      throw new Error(JSON.stringify(stored));
    await store.close();
    admin = new pg.Client(server.url('admin'));
    await admin.connect();
    await admin.query(`CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_auditor;
    CREATE ROLE carol LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_auditor;
    INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme'), ('carol', '*')`);
  });
  afterAll(async () => {
    await admin.end();
    await server.stop();
  });

  test.each([
    ['u-1', ['T-1']],
    [LONG, ['T-2']],
    [OTHER, ['T-3']],
    [QUOTED, ['T-4']],
    ['u-2', []],
    ['u-3', ['T-6']],
    ['u-4', []],
  ])('assignments to %s, by the whole of metadata.assignee', async (actor, tickets) => {
    expect(await ticketsOf(server.url('alice'), 'acme', actor)).toEqual(tickets);
  });

  test('a login learns nothing of a tenant that it may not see; who may see all, and the owner, do', async () => {
    expect(await ticketsOf(server.url('alice'), 'zeta', 'u-1')).toEqual([]);
    for (const role of ['carol', 'sealtrail_owner', 'admin'])
      expect([role, await ticketsOf(server.url(role), 'zeta', 'u-1')]).toEqual([role, ['T-9']]);
    await expect(ticketsOf(server.url('sealtrail_writer'), 'acme', 'u-1')).rejects.toThrow(
      /permission denied/,
    );
  });

  test('the index over assignees is gone by', async () => {
    await admin.query('SET enable_seqscan = off');
    const { rows } = await admin.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT FROM audit.records WHERE tenant_id = 'acme' AND action = 'ticket.assign'
     AND audit.assignee_of(event_bytes) = 'u-1'`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Index Cond: .*assignee_of/);
  });
});
