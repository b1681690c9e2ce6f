/** Each role, connected for real: who can write, who can read what, and that nobody can change. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import type { Store } from '../../store/store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer } from './sealed.ts';

let server: TestPostgres;
let store: Store;
let partition = '';
const clients = new Map<string, pg.Client>();

beforeAll(async () => {
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  await store.migrate();
  const [acme, zeta] = [createSealer(undefined, 'acme'), createSealer(undefined, 'zeta')];
  const done = await store.appendRecords([acme.seal(), zeta.seal(), acme.seal()]);
  if (!done.ok) throw new Error(done.error.message);
  for (const role of ['owner', 'writer', 'auditor', 'admin'] as const)
    await connect(role, server.url(role));
  const admin = clientOf('admin');
  for (const name of ['alice', 'bob', 'mallory'])
    await admin.query(`CREATE ROLE ${name} LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor`);
  await admin.query(
    `CREATE ROLE keeper LOGIN PASSWORD 'pw' IN ROLE sealtrail_retention; GRANT CONNECT ON DATABASE sealtrail TO keeper`,
  );
  await clientOf('owner').query(
    `INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme'), ('bob', 'zeta')`,
  );
  for (const name of ['alice', 'bob', 'mallory', 'keeper']) {
    const url = new URL(server.url('auditor'));
    url.username = name;
    url.password = 'pw';
    await connect(name, url.href);
  }
  const made = await clientOf('owner').query<{ t: string }>(
    'SELECT DISTINCT tableoid::regclass::text AS t FROM audit.records',
  );
  partition = made.rows[0]?.t ?? '';
});

afterAll(async () => {
  for (const client of clients.values()) await client.end();
  await store.close();
  await server.stop();
});

async function connect(name: string, url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  clients.set(name, client);
}

function clientOf(name: string): pg.Client {
  const client = clients.get(name);
  if (client === undefined) throw new Error(`no client ${name}`);
  return client;
}

/** SQLSTATE of a statement that fails, or 'ok' and its row count. */
async function tryAs(name: string, sql: string): Promise<string> {
  try {
    const done = await clientOf(name).query(sql);
    return `ok ${String(done.rowCount)}`;
  } catch (error) {
    return error instanceof pg.DatabaseError ? (error.code ?? '?') : String(error);
  }
}

const REFUSED = '42501';
const TABLES = (): string[] => [
  'audit.records',
  partition,
  'audit.records_default',
  'audit.record_keys',
  'audit.streams',
];

function changesOf(table: string): string[] {
  const column = table.endsWith('streams') ? 'tenant_id' : 'this_hash';
  return [
    `UPDATE ${table} SET ${column} = ${column}`,
    `UPDATE ${table} SET ${column} = ${column} WHERE false`,
    `DELETE FROM ${table}`,
    `DELETE FROM ${table} WHERE false`,
    `TRUNCATE ${table} CASCADE`,
  ];
}

describe('append-only', () => {
  test.each(['owner', 'writer', 'auditor', 'alice', 'keeper'])(
    '%s cannot UPDATE, DELETE or TRUNCATE any table or partition',
    async (role) => {
      expect(partition).toMatch(/^audit\.records_\d{4}_\d{2}$/);
      for (const sql of TABLES().flatMap(changesOf))
        expect([sql, await tryAs(role, sql)]).toEqual([sql, REFUSED]);
    },
  );

  test('triggers refuse it even to an owner who takes the privileges back, and to a superuser', async () => {
    for (const table of TABLES())
      await clientOf('owner').query(`GRANT ALL ON ${table} TO sealtrail_owner`);
    for (const role of ['owner', 'admin']) {
      for (const sql of TABLES().flatMap(changesOf)) {
        await expect(clientOf(role).query(sql), `${role}: ${sql}`).rejects.toThrow(/append-only/);
      }
    }
    for (const table of TABLES())
      await clientOf('owner').query(
        `REVOKE UPDATE, DELETE, TRUNCATE ON ${table} FROM sealtrail_owner`,
      );
  });

  test('replication mode, which skips ordinary triggers, does not skip these', async () => {
    const admin = clientOf('admin');
    await admin.query('SET session_replication_role = replica');
    try {
      for (const sql of TABLES()
        .flatMap(changesOf)
        .filter((one) => !one.includes('WHERE false')))
        await expect(admin.query(sql), sql).rejects.toThrow(/append-only/);
    } finally {
      await admin.query('RESET session_replication_role');
    }
  });

  test('an upsert, a merge and a rule change no more than an update does', async () => {
    const upsert = `INSERT INTO audit.streams (stream, tenant_id) VALUES ('x', 'acme')
      ON CONFLICT (stream) DO UPDATE SET tenant_id = 'zeta'`;
    const merge = `MERGE INTO audit.records r USING (SELECT 0 AS seq) s ON r.seq = s.seq
      WHEN MATCHED THEN DELETE`;
    for (const sql of [
      upsert,
      merge,
      'CREATE RULE r AS ON INSERT TO audit.records DO INSTEAD NOTHING',
      'SELECT * FROM audit.records FOR UPDATE',
    ])
      expect([sql, await tryAs('writer', sql)]).toEqual([sql, REFUSED]);
    await expect(clientOf('admin').query(merge)).rejects.toThrow(/append-only/);
  });

  test('partitions made later are guarded like the first', async () => {
    const from = '2024-02-10T00:00:00Z';
    await clientOf('writer').query('SELECT audit.ensure_partition($1)', [from]);
    for (const role of ['owner', 'admin', 'writer']) {
      for (const sql of changesOf('audit.records_2024_02'))
        expect([role, sql, await tryAs(role, sql)]).toEqual([role, sql, REFUSED]);
    }
  });

  test("tables of the catalog's names in the writer's session lead nobody astray", async () => {
    await clientOf('admin').query('GRANT TEMP ON DATABASE sealtrail TO sealtrail_writer');
    await clientOf('writer').query(`
      CREATE TEMP TABLE pg_class (oid oid, relowner oid, relname name);
      CREATE TEMP TABLE pg_roles (oid oid, rolname name);
      INSERT INTO pg_roles VALUES (1, 'sealtrail_retention');
      INSERT INTO pg_class SELECT o, 1, 'x' FROM generate_series(1, 90000) AS o`);
    await clientOf('writer').query(`SELECT audit.ensure_partition('2023-05-01')`);
    await clientOf('writer').query('DROP TABLE pg_temp.pg_class, pg_temp.pg_roles');
    for (const sql of changesOf('audit.records_2023_05')) {
      await expect(clientOf('owner').query(sql), sql).rejects.toThrow(/permission denied/);
      await expect(clientOf('admin').query(sql), sql).rejects.toThrow(/append-only/);
    }
  });

  test('a partition attached without guards still refuses changes of rows', async () => {
    await clientOf('owner').query(`
      CREATE TABLE audit.by_hand (LIKE audit.records INCLUDING ALL);
      ALTER TABLE audit.records ATTACH PARTITION audit.by_hand
        FOR VALUES FROM ('2001-01-01Z') TO ('2001-02-01Z')`);
    const sealer = createSealer();
    await store.appendRecords([sealer.seal({ time: '2001-01-15T00:00:00.000Z' })]);
    for (const mode of ['origin', 'replica']) {
      await clientOf('admin').query(`SET session_replication_role = ${mode}`);
      for (const sql of ['UPDATE audit.by_hand SET seq = seq', 'DELETE FROM audit.by_hand'])
        await expect(clientOf('admin').query(sql), mode).rejects.toThrow(/append-only/);
    }
    await clientOf('admin').query('RESET session_replication_role');
  });

  test('the writer cannot make tables, partitions beyond the bounds, or grants of its own', async () => {
    expect(await tryAs('writer', 'CREATE TABLE audit.mine (a int)')).toBe(REFUSED);
    expect(await tryAs('writer', 'DROP TABLE audit.records')).toBe(REFUSED);
    expect(await tryAs('writer', 'ALTER TABLE audit.records DISABLE TRIGGER ALL')).toBe(REFUSED);
    expect(await tryAs('writer', `SELECT audit.guard_table('audit.records')`)).toBe(REFUSED);
    for (const far of ['1900-01-01', '2900-01-01', '-infinity', 'infinity', '4000-01-01 BC'])
      expect(await tryAs('writer', `SELECT audit.ensure_partition('${far}')`)).toBe('ok 1');
    const made = await clientOf('owner').query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relname ~ '^records_(1|2[1-9]|4|inf)'`,
    );
    expect(made.rows).toEqual([]);
  });
});

describe('row-level security', () => {
  async function tenantsSeen(role: string, from: string): Promise<string[]> {
    const sql = `SELECT DISTINCT tenant_id FROM ${from} ORDER BY 1`;
    const seen = await clientOf(role).query<{ tenant_id: string }>(sql);
    return seen.rows.map((row) => row.tenant_id);
  }

  test.each(['audit.events', 'audit.sealed_records', 'audit.records', 'audit.streams'])(
    'in %s an auditor sees the tenants of the login role and no other',
    async (from) => {
      expect(await tenantsSeen('alice', from)).toEqual(['acme']);
      expect(await tenantsSeen('bob', from)).toEqual(['zeta']);
      expect(await tenantsSeen('mallory', from)).toEqual([]);
      expect(await tenantsSeen('auditor', from)).toEqual(['acme', 'zeta']);
      expect(await tenantsSeen('owner', from)).toEqual(['acme', 'zeta']);
    },
  );

  test('partitions, keys and the mapping are closed to auditors', async () => {
    for (const table of [partition, 'audit.records_default', 'audit.record_keys'])
      expect([table, await tryAs('alice', `SELECT * FROM ${table}`)]).toEqual([table, REFUSED]);
    expect(await tryAs('alice', 'SELECT * FROM audit.auditor_tenants')).toBe(REFUSED);
    const grab = `INSERT INTO audit.auditor_tenants VALUES ('alice', 'zeta')`;
    for (const role of ['alice', 'auditor', 'writer', 'keeper'])
      expect([role, await tryAs(role, grab)]).toEqual([role, REFUSED]);
  });

  test('no setting and no role change widens what an auditor sees', async () => {
    const alice = clientOf('alice');
    await alice.query('SET ROLE sealtrail_auditor');
    expect(await tenantsSeen('alice', 'audit.events')).toEqual(['acme']);
    await alice.query('RESET ROLE');
    await alice.query(`SET search_path = pg_temp, public`);
    expect(await tenantsSeen('alice', 'audit.events')).toEqual(['acme']);
    expect(await tryAs('alice', 'SET SESSION AUTHORIZATION bob')).toBe(REFUSED);
    expect(await tryAs('alice', 'SET ROLE sealtrail_owner')).toBe(REFUSED);
    await alice.query('SET row_security = off');
    expect(await tryAs('alice', 'SELECT * FROM audit.events')).toBe(REFUSED);
    await alice.query('SET row_security = on');
  });

  test('a condition that tells what it is shown is shown no other tenant', async () => {
    await clientOf('admin').query('GRANT TEMP ON DATABASE sealtrail TO alice');
    const alice = clientOf('alice');
    const told: string[] = [];
    const listen = (notice: { message?: string | undefined }): unknown =>
      told.push(notice.message ?? '');
    alice.on('notice', listen);
    await alice.query(`CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql
      COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$`);
    for (const from of ['audit.records', 'audit.events', 'audit.sealed_records', 'audit.streams'])
      await alice.query(`SELECT count(*) FROM ${from} WHERE pg_temp.tell(tenant_id)`);
    alice.off('notice', listen);
    expect(new Set(told)).toEqual(new Set(['acme']));
  });

  test('statistics, copies and samples show no other tenant', async () => {
    await clientOf('admin').query('ANALYZE');
    const stats = `SELECT * FROM pg_stats WHERE schemaname = 'audit' AND tablename ~ '^(records|streams)'
      AND most_common_vals::text || histogram_bounds::text ~ 'zeta'`;
    expect(await tryAs('alice', stats)).toBe('ok 0');
    expect(
      await tryAs('alice', 'SELECT DISTINCT tenant_id FROM audit.records TABLESAMPLE SYSTEM (100)'),
    ).toBe('ok 1');
    expect(await tryAs('alice', 'TABLE pg_statistic')).toBe(REFUSED);
    expect(await tryAs('alice', `SELECT pg_read_file('postgresql.conf')`)).toBe(REFUSED);
  });

  test('an auditor cannot write, and retention can read nothing', async () => {
    const insert = `INSERT INTO audit.streams (stream, tenant_id) VALUES ('x', 'acme')`;
    expect(await tryAs('alice', insert)).toBe(REFUSED);
    expect(await tryAs('keeper', 'SELECT * FROM audit.events')).toBe(REFUSED);
    expect(await tryAs('keeper', insert)).toBe(REFUSED);
    expect(await tryAs('writer', insert)).toBe('ok 1');
  });
});
