/** Migrations: once each, one agent at a time, forward only, and never changed afterwards. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyMigrations, readMigrations } from '../../store/migrate.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer } from './sealed.ts';

let server: TestPostgres;
let owner: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  owner = new pg.Client(server.url('owner'));
  await owner.connect();
  await owner.query('DROP SCHEMA audit CASCADE');
});

afterAll(async () => {
  await owner.end();
  await server.stop();
});

test('before the first migration a writer is told so, and nothing is refused as poison', async () => {
  const store = createPostgresStore({ url: server.url('writer') });
  const done = await store.appendRecords([createSealer().seal()]);
  expect(done).toMatchObject({ ok: false, error: { kind: 'schema' } });
  expect(await store.migrate()).toMatchObject({ ok: false, error: { kind: 'access' } });
  await store.close();
});

test('agents that start together apply each migration once', async () => {
  const names = (await readMigrations()).map(({ name }) => name);
  const stores = Array.from({ length: 4 }, () =>
    createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') }),
  );
  const done = await Promise.all(stores.map((store) => store.migrate()));
  const applied = done.flatMap((one) => (one.ok ? one.value.applied : [JSON.stringify(one)]));
  expect([...applied].sort()).toEqual(names);
  await Promise.all(stores.map((store) => store.close()));
});

test('a migration changed after it was applied is refused by name', async () => {
  const migrations = await readMigrations();
  expect(await applyMigrations(owner, migrations)).toEqual({ ok: true, value: { applied: [] } });
  const changed = migrations.map((one, n) =>
    n === 1 ? { ...one, checksum: '0'.repeat(64) } : one,
  );
  const refused = await applyMigrations(owner, changed);
  expect(refused).toMatchObject({ ok: false, error: { kind: 'schema' } });
  expect(JSON.stringify(refused)).toContain(migrations[1]?.name);
});

test('a database that a newer build has migrated is refused', async () => {
  const older = (await readMigrations()).slice(0, -1);
  expect(await applyMigrations(owner, older)).toMatchObject({
    ok: false,
    error: { kind: 'schema' },
  });
});

test('a migration that fails leaves nothing behind and frees the lock', async () => {
  const migrations = await readMigrations();
  const broken = {
    name: '9999_broken.sql',
    sql: 'CREATE TABLE audit.half (); SELECT 1/0',
    checksum: 'x',
  };
  await expect(applyMigrations(owner, [...migrations, broken])).rejects.toThrow(/zero/);
  const half = await owner.query(`SELECT to_regclass('audit.half') AS half`);
  expect(half.rows).toEqual([{ half: null }]);
  expect(await applyMigrations(owner, migrations)).toMatchObject({ ok: true });
});

test('a wrong password is an access error, not a lost server', async () => {
  const url = new URL(server.url('writer'));
  url.password = 'wrong';
  const store = createPostgresStore({ url: url.href });
  const done = await store.appendRecords([createSealer().seal()]);
  expect(done).toMatchObject({ ok: false, error: { kind: 'access' } });
  await store.close();
});
