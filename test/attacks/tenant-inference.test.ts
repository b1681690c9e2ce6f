/**
 * Attacks on the tenant boundary, as the auditor of acme who has a login and SQL: to learn of what is zeta's without seeing it, by
 * errors, plans, statistics, the catalogue, keys that are taken; and to write.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OWN, SECRET, SECRET_COUNT, type Boundary } from '../support/boundary.ts';
import { openAttacker, REFUSED, type Attacker } from './attacker.ts';
import { KINDS } from '../support/store-kinds.ts';

describe.each(KINDS)('%s', (kind) => {
  let attacker: Attacker;
  let boundary: Boundary;
  let alice: pg.Client;
  let attack: Attacker['attack'];

  beforeAll(async () => {
    attacker = await openAttacker(kind);
    ({ boundary, alice, attack } = attacker);
  });
  afterAll(() => attacker[Symbol.asyncDispose]());

  test('errors: a condition that fails on what it must not see does not fail', async () => {
    await attack(
      `SELECT tenant_id FROM audit.records WHERE 1 / (CASE tenant_id WHEN 'acme' THEN 1 ELSE 0 END) = 1`,
    );
    await attack(
      `SELECT tenant_id FROM audit.records WHERE (CASE tenant_id WHEN 'acme' THEN '1' ELSE event_bytes END)::int = 1`,
    );
    await attack(
      `SELECT tenant_id FROM audit.events WHERE (CASE tenant_id WHEN 'acme' THEN '{}' ELSE actor_id END)::jsonb = '{}'`,
    );
    await attack(
      `SELECT count(*), min(tenant_id) FROM audit.events HAVING 1 / (count(*) - ${10 + SECRET_COUNT}) <= 0`,
    );
  });

  test('EXPLAIN ANALYZE says the same of an id that another tenant has and of one that nobody has', async () => {
    const asked = (id: string, trace: string): string[] => [
      `request_id = '${id}'`,
      `trace_id = '${trace.repeat(32)}'`,
      `tenant_id = 'zeta' AND actor_id = '${id}'`,
      `tenant_id = 'zeta' AND resource_type = 'customer' AND resource_id = '${id}'`,
      `tenant_id = 'zeta' AND action = 'customer.export' AND resource_id = '${id}'`,
    ];
    const scans = ['enable_seqscan', 'enable_bitmapscan', 'enable_indexscan'];
    for (const on of [null, 'enable_bitmapscan', 'enable_indexscan']) {
      await alice.query(
        scans.map((name) => `SET ${name} = ${name === on || on === null ? 'on' : 'off'}`).join(';'),
      );
      await alice.query('SET enable_seqscan = off');
      const found = async (questions: readonly string[]): Promise<number[]> => {
        const counts = [];
        for (const where of questions) counts.push(await countRows(alice, where));
        return counts;
      };
      expect(await found(asked(SECRET, 'e'))).toEqual(await found(asked('no-such-id', '5')));
      expect(await countRows(alice, `request_id = '${OWN}'`)).toBeGreaterThanOrEqual(9);
    }
    await alice.query('DISCARD ALL');
  });

  /** Rows that any node of the plan found or took out again, at least. */
  async function countRows(client: pg.Client, where: string): Promise<number> {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) SELECT event_id FROM audit.records WHERE ${where}`,
    );
    const walk = (node: Node): number =>
      Math.max(
        // The list of tenants that the policy asks for is a row of its own.
        node['Node Type'] === 'Result' ? 0 : (node['Actual Rows'] ?? 0),
        node['Rows Removed by Filter'] ?? 0,
        node['Rows Removed by Index Recheck'] ?? 0,
        ...(node.Plans ?? []).map(walk),
      );
    return walk(rows[0]!['QUERY PLAN'][0].Plan);
  }

  test('statistics: none of the values that the planner knows', async () => {
    for (const view of ['pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs'])
      await attack(`SELECT * FROM ${view} WHERE schemaname = 'audit'`, { blind: true });
    for (const table of ['pg_statistic', 'pg_statistic_ext_data', 'pg_authid', 'pg_subscription'])
      expect(await attack(`SELECT * FROM ${table}`, { blind: true })).toContain(REFUSED);
    const known = await boundary.admin.query(
      `SELECT FROM pg_stats WHERE schemaname = 'audit' AND most_common_vals::text ~ 'zz-secret'`,
    );
    expect(known.rowCount).toBeGreaterThan(0);
  });

  test('what others run: neither their statements nor their prepared ones', async () => {
    const bob = await boundary.connect('bob');
    const group = kind === 'embedded' ? await boundary.connect('sealtrail_auditor') : bob;
    await bob.query(`PREPARE theirs AS SELECT '${SECRET}'`);
    await bob.query(`SELECT count(*) FROM audit.events WHERE actor_id = '${SECRET}'`);
    await group.query(
      `SELECT count(*) FROM audit.events WHERE actor_id = '${SECRET}' AND tenant_id = 'zeta'`,
    );
    for (const view of ['pg_stat_activity', 'pg_prepared_statements', 'pg_cursors', 'pg_locks'])
      await attack(`SELECT * FROM ${view}`, { blind: true });
    const seen = await boundary.admin.query(
      `SELECT FROM pg_stat_activity WHERE query ~ 'zz-secret' AND usename = 'bob'`,
    );
    expect(seen.rowCount).toBe(1);
    const { rows } = await boundary.admin.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE usename = 'bob'`,
    );
    expect(await attack(`SELECT pg_terminate_backend(${rows[0]?.pid})`, { blind: true })).toContain(
      REFUSED,
    );
  });

  test('the catalogue, the information schema, sequences, large objects and files', async () => {
    for (const sql of [
      `SELECT * FROM information_schema.columns WHERE table_schema = 'audit'`,
      'SELECT * FROM information_schema.table_privileges',
      `SELECT relname, relacl, pg_get_expr(relpartbound, oid) FROM pg_class WHERE relnamespace = 'audit'::regnamespace`,
      `SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy`,
      `SELECT prosrc FROM pg_proc WHERE pronamespace = 'audit'::regnamespace`,
      'SELECT loid FROM pg_largeobject_metadata AS m (loid)',
    ])
      await attack(sql, { blind: true });
    expect(
      await attack(`SELECT last_value FROM pg_sequences WHERE schemaname = 'audit'`, {
        blind: true,
      }),
    ).not.toMatch(/"last_value":"?\d/);
    for (const sql of [
      'SELECT last_value FROM audit.streams_stream_id_seq',
      `SELECT nextval('audit.streams_stream_id_seq')`,
      `SELECT currval('audit.access_log_access_id_seq')`,
      `SELECT pg_read_file('postgresql.conf')`,
      `SELECT lo_import('/etc/passwd')`,
      `SELECT pg_ls_dir('.')`,
    ])
      expect(await attack(sql, { blind: true })).toContain(REFUSED);
  });

  test('probing for a key: nothing can be inserted, so nothing is a duplicate', async () => {
    for (const sql of [
      `INSERT INTO audit.streams (stream, tenant_id) SELECT stream, 'acme' FROM audit.streams`,
      `INSERT INTO audit.records SELECT * FROM audit.records`,
      `INSERT INTO audit.access_log (login) VALUES ('bob')`,
      `INSERT INTO audit.access_pending VALUES (1)`,
      `SELECT * FROM audit.records FOR SHARE`,
      `BEGIN; LOCK TABLE audit.records IN SHARE MODE`,
      `SELECT audit.held_records(1, 0, 9)`,
      `SELECT audit.purge('x', 1, 1)`,
      `SELECT * FROM audit.matters_of('acme', '{x}')`,
      `SELECT audit.is_held('{x}', '{0}', '{9}')`,
    ])
      expect(await attack(sql, { blind: true })).toMatch(/42501|428C9/);
  });

  test('system columns lead to own rows only, and nobody is told anything by LISTEN', async () => {
    await attack('SELECT ctid, tableoid::regclass, xmin, tenant_id FROM audit.records');
    const { rows } = await boundary.admin.query<{ ctid: string }>(
      `SELECT ctid FROM audit.records WHERE tenant_id = 'zeta'`,
    );
    for (const { ctid } of rows.slice(0, 3))
      await attack([
        `SELECT * FROM audit.records WHERE ctid = '${ctid}'`,
        'SELECT * FROM audit.streams',
      ]);
    const { rows: names } = await boundary.admin.query(
      `SELECT proname FROM pg_proc WHERE pronamespace = 'audit'::regnamespace AND prosrc ~* 'notify'`,
    );
    expect(names).toEqual([]);
  });
});

interface Node {
  readonly 'Node Type': string;
  readonly 'Actual Rows'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Node[];
}
