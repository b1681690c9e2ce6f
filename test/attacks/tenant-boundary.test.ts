/**
 * Attacks on the tenant boundary, as the auditor of acme who has a login and SQL: to see, or to learn of, what is
 * zeta's. After each of them the session sees its own tenant, and all of it.
 */
import { execFileSync } from 'node:child_process';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasPostgres15 } from '../support/postgres-15.ts';
import {
  LATER,
  openBoundary,
  OWN,
  SECRET,
  SECRET_COUNT,
  type Boundary,
} from '../support/boundary.ts';

const KINDS = ['embedded', ...(hasPostgres15 ? (['postgresql 15'] as const) : [])] as const;
const REFUSED = '42501';
const BIN = '/usr/lib/postgresql/15/bin';

test('both versions are attacked', () => expect(KINDS).toHaveLength(2));

describe.each(KINDS)('%s', (kind) => {
  let boundary: Boundary;
  let alice: pg.Client;
  let month = '';
  let isNew = false;

  beforeAll(async () => {
    boundary = await openBoundary(kind);
    alice = await boundary.connect('alice');
    const { rows } = await boundary.admin.query<{ t: string; v: number }>(
      `SELECT tableoid::regclass::text AS t, current_setting('server_version_num')::int AS v
       FROM audit.records ORDER BY occurred_at DESC LIMIT 1`,
    );
    month = rows[0]?.t ?? '';
    isNew = (rows[0]?.v ?? 0) >= 160_000;
  }, 60_000);
  afterAll(() => boundary[Symbol.asyncDispose]());

  /** All that a statement, or a script of them, gives: rows, notices, errors. */
  async function tell(client: pg.Client, sql: string, values?: unknown[]): Promise<string> {
    const told: string[] = [];
    const listen = (notice: { message?: string | undefined }): unknown =>
      told.push(notice.message ?? '');
    client.on('notice', listen);
    try {
      const done = (await (values === undefined
        ? client.query(sql)
        : client.query(sql, values))) as pg.QueryResult | pg.QueryResult[];
      told.push(JSON.stringify([done].flat().map(({ rows }) => rows as unknown)));
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      told.push(`${error.code ?? ''} ${error.message} ${error.detail ?? ''} ${error.where ?? ''}`);
    } finally {
      client.off('notice', listen);
    }
    return told.join('\n');
  }

  async function expectOwn(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ tenant_id: string; n: number }>(
      'SELECT tenant_id, count(*)::int AS n FROM audit.events GROUP BY 1',
    );
    expect(rows).toEqual([{ tenant_id: 'acme', n: 10 }]);
  }

  /** Runs an attack as alice; what it was told holds nothing of zeta. */
  async function attack(
    sql: string | readonly string[],
    settings?: { readonly blind?: boolean; readonly values?: unknown[] },
  ): Promise<string> {
    let told = '';
    for (const one of [sql].flat()) told += `${await tell(alice, one, settings?.values)}\n`;
    expect(told).not.toMatch(/zeta|zz-secret|eeeeeeee/);
    // An attack whose statement does not even run would prove nothing.
    if (settings?.blind !== true) expect(told).toMatch(/acme|own-thing/);
    await alice.query('ROLLBACK; RESET SESSION AUTHORIZATION');
    await alice.query('DISCARD ALL');
    await expectOwn(alice);
    return told;
  }

  const VIEWS = [
    ...['records', 'events', 'sealed_records', 'streams', 'retention', 'stubs'],
    'checkpoints',
  ];

  test.each(VIEWS)(
    'audit.%s read whole, counted, copied, sampled, by cursor and prepared',
    async (name) => {
      const what = `audit.${name}`;
      await attack(`SELECT * FROM ${what}`);
      await attack(`SELECT * FROM ${what} WHERE tenant_id IN ('acme', 'zeta')`);
      await attack(`SELECT t::text, t.tenant_id FROM ${what} t`);
      await attack(`SELECT (SELECT json_agg(x) FROM ${what} x)`);
      await attack(['BEGIN', `DECLARE c CURSOR FOR SELECT * FROM ${what}`, 'FETCH ALL FROM c']);
      await attack([`PREPARE p AS SELECT * FROM ${what} WHERE tenant_id >= $1`, `EXECUTE p('')`]);
      await attack(`SELECT * FROM ${what} WHERE tenant_id >= $1 OR true`, { values: ['a'] });
    },
  );

  test('what auditors have no business with is closed: partitions, keys, mapping, purges, holds, pending reads', async () => {
    const later = `audit.records_${LATER.slice(0, 7).replace('-', '_')}`;
    const { rows } = await boundary.admin.query<{ name: string }>(
      `SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace
       AND c.relkind IN ('r', 'p', 'v', 'm', 'S')`,
    );
    const open = [
      'records',
      'events',
      'sealed_records',
      'streams',
      'retention',
      'retention_classes',
    ];
    const mayRead = [...open, 'stubs', 'checkpoints', 'access_log'].map((name) => `audit.${name}`);
    const closed = rows.map(({ name }) => name).filter((name) => !mayRead.includes(name));
    for (const name of [
      month,
      later,
      'audit.records_default',
      'audit.record_keys',
      'audit.auditor_tenants',
    ])
      expect(closed).toContain(name);
    for (const name of [
      'purges',
      'legal_holds',
      'active_holds',
      'access_pending',
      'streams_stream_id_seq',
    ])
      expect(closed).toContain(`audit.${name}`);
    for (const name of closed)
      expect(await attack(`SELECT * FROM ${name}`, { blind: true })).toContain(REFUSED);
  });

  test('COPY, to the client, to a program, to a file', async () => {
    const psql = (sql: string): string =>
      execFileSync(`${BIN}/psql`, ['-X', '-At', '-c', sql, boundary.url('alice')], {
        encoding: 'utf8',
      });
    const copied = psql('COPY (SELECT * FROM audit.events) TO STDOUT');
    expect(copied).toContain(OWN);
    expect(copied).not.toMatch(/zeta|zz-secret/);
    for (const table of [month, 'audit.record_keys'])
      expect(() => psql(`COPY ${table} TO STDOUT`)).toThrow(/permission denied/);
    for (const to of [`PROGRAM 'cat'`, `'/tmp/sealtrail-attack'`])
      expect(await attack(`COPY (SELECT 1) TO ${to}`, { blind: true })).toContain(REFUSED);
  });

  test('pg_dump takes nothing of another tenant', () => {
    const dump = (...args: string[]): string => {
      try {
        return execFileSync(`${BIN}/pg_dump`, [...args, '-d', boundary.url('alice')], {
          encoding: 'utf8',
          stdio: 'pipe',
        });
      } catch (error) {
        return String(error);
      }
    };
    for (const args of [
      [],
      ['--data-only', '-t', 'audit.records'],
      ['--enable-row-security', '-n', 'audit'],
    ])
      expect(dump(...args)).not.toMatch(/zeta|zz-secret/);
  });

  test('another role: SET ROLE, SESSION AUTHORIZATION, and rights that one gives oneself', async () => {
    const see = 'SELECT * FROM audit.events';
    for (const role of ['bob', 'sealtrail_owner', 'sealtrail_writer', 'sealtrail_purger'])
      expect(await attack([`SET ROLE ${role}`, see])).toContain(REFUSED);
    expect(await attack(['SET SESSION AUTHORIZATION bob', see])).toContain(REFUSED);
    await attack(['SET ROLE sealtrail_auditor', see]);
    for (const sql of [
      'GRANT sealtrail_writer TO alice',
      'GRANT sealtrail_auditor TO bob',
      'ALTER ROLE alice BYPASSRLS',
      'ALTER ROLE alice RENAME TO bob',
      `INSERT INTO audit.auditor_tenants VALUES ('alice', 'zeta')`,
      'ALTER TABLE audit.records DISABLE ROW LEVEL SECURITY',
      'ALTER TABLE audit.records NO FORCE ROW LEVEL SECURITY',
      'CREATE POLICY p ON audit.records FOR SELECT USING (true)',
      'GRANT SELECT ON audit.record_keys TO alice',
      'CREATE FUNCTION audit.visible_tenants() RETURNS text[] LANGUAGE sql AS $$ SELECT $$',
      `CREATE OR REPLACE FUNCTION audit.visible_tenants() RETURNS text[] LANGUAGE sql AS $$ SELECT '{zeta}'::text[] $$`,
    ])
      expect(await attack(sql, { blind: true })).toMatch(/^(42501|0A000|0LP01)/m);
  });

  test('the group that a login is in is nobody who logs in, or nobody that it can become', async () => {
    const said = await attack(
      ['SET ROLE sealtrail_auditor', `ALTER ROLE sealtrail_auditor PASSWORD 'mine, and 12 long'`],
      { blind: true },
    );
    if (isNew) expect(said).toContain(REFUSED);
    const { rows } = await boundary.admin.query<{ log_in: boolean }>(
      `SELECT rolcanlogin AS log_in FROM pg_roles WHERE rolname = 'sealtrail_auditor'`,
    );
    expect(rows).toEqual([{ log_in: kind === 'embedded' }]);
    if (kind === 'embedded') await (await boundary.connect('sealtrail_auditor')).query('SELECT 1');
    else
      await expect(boundary.connect('sealtrail_auditor')).rejects.toThrow(
        /not permitted to log in/,
      );
  });

  test('settings: row_security, search_path, and whatever else a client may set', async () => {
    const see = 'SELECT * FROM audit.events';
    expect(await attack(['SET row_security = off', see], { blind: true })).toContain(REFUSED);
    await attack([`SET search_path = pg_temp, public`, see]);
    for (const setting of ['session_user', 'role_name', 'sealtrail.tenant', 'app.tenant_id'])
      await attack(
        [
          `SELECT set_config('x.${setting}', 'zeta', false)`.replace('zeta', 'ze' + 'ta'),
          see,
        ].slice(1),
      );
    for (const setting of ['session_replication_role = replica', 'session_preload_libraries = x'])
      expect(await attack([`SET ${setting}`, see])).toContain(REFUSED);
    for (const setting of [
      'enable_indexscan',
      'enable_bitmapscan',
      'enable_nestloop',
      'enable_hashjoin',
    ])
      await attack([`SET ${setting} = off`, see]);
    await attack([
      'SET plan_cache_mode = force_generic_plan',
      'PREPARE q AS SELECT * FROM audit.events',
      'EXECUTE q',
    ]);
    await attack(['BEGIN ISOLATION LEVEL SERIALIZABLE', see]);
  });

  describe('with functions, operators, casts, views and tables of one’s own', () => {
    beforeAll(() =>
      boundary.admin.query(
        'GRANT TEMP, CREATE ON DATABASE sealtrail TO alice; GRANT CREATE ON SCHEMA public TO alice',
      ),
    );
    afterAll(() =>
      boundary.admin.query(
        'REVOKE TEMP, CREATE ON DATABASE sealtrail FROM alice; REVOKE CREATE ON SCHEMA public FROM alice; DROP OWNED BY alice',
      ),
    );

    test('a function that tells what it is shown is shown no other tenant, however cheap it says it is', async () => {
      const spy = `CREATE OR REPLACE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
        IMMUTABLE PARALLEL SAFE AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$`;
      for (const from of VIEWS.map((name) => `audit.${name}`))
        await attack([spy, `SELECT count(*) FROM ${from} WHERE pg_temp.spy(tenant_id)`]);
      await attack([
        spy,
        'SELECT count(*) FROM audit.records WHERE pg_temp.spy(actor_id) AND tenant_id > $$a$$',
      ]);
      await attack([spy, 'SELECT count(*) FROM audit.events GROUP BY pg_temp.spy(event_bytes)']);
      await attack([
        spy,
        `SELECT count(*) FROM (VALUES ('x')) v LEFT JOIN audit.records r ON pg_temp.spy(r.tenant_id)`,
      ]);
      expect(
        await attack(
          `CREATE FUNCTION pg_temp.f(text) RETURNS boolean LEAKPROOF LANGUAGE sql AS 'SELECT true'`,
          { blind: true },
        ),
      ).toContain(REFUSED);
    });

    test('an operator and a cast of one’s own', async () => {
      await attack([
        `CREATE FUNCTION public.eq(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$`,
        'CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.eq, RESTRICT = eqsel)',
        `SET search_path = public, pg_catalog`,
        `SELECT count(*) FROM audit.records WHERE tenant_id OPERATOR(public.=) 'x'`,
        `SELECT count(*) FROM audit.events WHERE actor_id = 'x'`,
        'DROP FUNCTION public.eq(text, text) CASCADE',
      ]);
      await attack([
        `CREATE TYPE public.told AS (a text)`,
        `CREATE FUNCTION public.to_told(text) RETURNS public.told LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN ROW($1); END $$`,
        `SELECT count(public.to_told(tenant_id)) FROM audit.records`,
        'DROP TYPE public.told CASCADE',
      ]);
      expect(
        await attack(`CREATE CAST (text AS integer) WITH INOUT AS IMPLICIT`, { blind: true }),
      ).toContain(REFUSED);
    });

    test('what shadows the names that policies and functions use', async () => {
      await attack([
        'CREATE TEMP TABLE auditor_tenants (role_name name, tenant_id text)',
        `INSERT INTO pg_temp.auditor_tenants VALUES ('alice', 'ze' || 'ta')`,
        'CREATE TEMP TABLE streams AS SELECT * FROM audit.streams',
        `CREATE FUNCTION pg_temp.visible_tenants() RETURNS text[] LANGUAGE sql AS $$ SELECT ARRAY['ze' || 'ta'] $$`,
        'SET search_path = pg_temp, audit, pg_catalog',
        'SELECT * FROM audit.events',
        'SELECT audit.visible_tenants()',
      ]);
    });

    test('views and functions that run with another’s rights are one’s own, and see no more', async () => {
      await attack([
        'CREATE TEMP VIEW v AS SELECT * FROM audit.records',
        'SELECT * FROM pg_temp.v',
      ]);
      await attack([
        `CREATE FUNCTION public.mine() RETURNS SETOF audit.records LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM audit.records'`,
        'SELECT * FROM public.mine()',
        'DROP FUNCTION public.mine()',
      ]);
      await attack([
        'CREATE TEMP TABLE child (LIKE audit.records)',
        'ALTER TABLE pg_temp.child INHERIT audit.records',
        'SELECT * FROM audit.events',
      ]);
      expect(
        await attack(`CREATE RULE "_RETURN" AS ON SELECT TO audit.streams DO INSTEAD SELECT 1`, {
          blind: true,
        }),
      ).toContain(REFUSED);
      expect(
        await attack(
          [
            'CREATE TEMP TABLE t (a int)',
            `CREATE TRIGGER x BEFORE INSERT ON pg_temp.t FOR EACH ROW EXECUTE FUNCTION audit.before_decision()`,
            `INSERT INTO pg_temp.t VALUES (1)`,
          ],
          { blind: true },
        ),
      ).toBeTypeOf('string');
    });
  });

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

  test('a tenant that is taken away is gone from a session that runs, at its next statement', async () => {
    const { admin } = boundary;
    const bob = await boundary.connect('bob');
    const count = async (): Promise<number> =>
      (await bob.query('SELECT FROM audit.events')).rowCount ?? -1;
    await bob.query('PREPARE p AS SELECT FROM audit.events');
    expect(await count()).toBe(SECRET_COUNT);
    await admin.query(`DELETE FROM audit.auditor_tenants WHERE role_name = 'bob'`);
    expect([await count(), (await bob.query('EXECUTE p')).rowCount]).toEqual([0, 0]);
    await admin.query(`INSERT INTO audit.auditor_tenants VALUES ('bob', 'zeta')`);
    expect(await count()).toBe(SECRET_COUNT);
  });
});

interface Node {
  readonly 'Node Type': string;
  readonly 'Actual Rows'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Node[];
}
