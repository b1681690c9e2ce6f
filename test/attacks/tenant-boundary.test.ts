/**
 * Attacks on the tenant boundary, as the auditor of acme who has a login and SQL: to see what is zeta's, by reading, by becoming
 * somebody else, by functions of one's own. What can be learned without seeing it: tenant-inference.test.ts.
 */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LATER, OWN, SECRET_COUNT, type Boundary } from '../support/boundary.ts';
import { openAttacker, REFUSED, VIEWS, type Attacker } from './attacker.ts';
import { KINDS } from '../support/store-kinds.ts';

const BIN = '/usr/lib/postgresql/15/bin';

test('both versions are attacked', () => expect(KINDS).toHaveLength(2));

describe.each(KINDS)('%s', (kind) => {
  let attacker: Attacker;
  let boundary: Boundary;
  let attack: Attacker['attack'];

  beforeAll(async () => {
    attacker = await openAttacker(kind);
    ({ boundary, attack } = attacker);
  });
  afterAll(() => attacker[Symbol.asyncDispose]());

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
      attacker.month,
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
    for (const table of [attacker.month, 'audit.record_keys'])
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
    if (attacker.isNew) expect(said).toContain(REFUSED);
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
