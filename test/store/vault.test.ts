/** The vault against those who should not: roles of the store, and of the vault; erasure. Real PostgreSQL. */
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readVaultStatus } from '../../cli/vault-status.ts';
import { applyMigrations, readMigrations } from '../../store/migrate.ts';
import { createVaultSchema } from '../../store/vault/schema.ts';
import {
  eraseSubject,
  findErasure,
  markRecorded,
  pendingErasures,
} from '../../store/vault/erasures.ts';
import { readSubject } from '../../store/vault/subjects.ts';
import { startPostgres, type TestPostgres, type TestRole } from '../support/postgres.ts';
import { eraseRequest, openVault, personOf, type TestVault } from '../support/vault.ts';

let server: TestPostgres;
let vault: TestVault;

const tokenOf = async (identity: string, purpose?: 'actor' | 'subject'): Promise<string> =>
  (await (await vault.openSubjects()).tokensOf([personOf(identity, purpose)]))[0] ?? '';
/** In the vault's database, as a role of the store; or in the store's, as one of the vault. */
const elsewhere = (url: string, database: string): string =>
  Object.assign(new URL(url), { pathname: `/${database}` }).href;
async function attempt(url: string, sql: string): Promise<string> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(sql);
    return 'done';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await client.end().catch(() => 'it never began');
  }
}
const DENIED = '42501';

beforeAll(async () => {
  server = await startPostgres();
  const store = new pg.Client(server.url('owner'));
  await store.connect();
  expect(await applyMigrations(store, await readMigrations())).toMatchObject({ ok: true });
  await store.end();
  vault = await openVault(server.url('admin'));
});
afterAll(async () => {
  await vault[Symbol.asyncDispose]();
  await server.stop();
});

describe('access', () => {
  test('no role of the store gets into the vault, and none of the vault reads the store', async () => {
    for (const role of ['owner', 'writer', 'auditor'] satisfies TestRole[])
      expect([role, await attempt(elsewhere(server.url(role), 'vault'), 'SELECT 1')]).toEqual([
        role,
        DENIED,
      ]);
    for (const role of ['owner', 'writer', 'resolver', 'eraser'] as const) {
      const store = elsewhere(vault.url(role), 'sealtrail');
      for (const table of ['audit.events', 'audit.records', 'audit.streams'])
        expect([role, await attempt(store, `SELECT * FROM ${table}`)]).toEqual([role, DENIED]);
    }
    expect(await attempt(vault.url('resolver'), 'SELECT * FROM vault.subjects')).toBe('done');
  });

  test('each role does its own part, and no other one', async () => {
    const token = await tokenOf('role@example.org');
    const erase = `SELECT vault.erase_subject('${token}', 'acme', '${ulid()}', 'x', 'y')`;
    const add = `SELECT vault.add_subject('${token}', 'acme', 'actor', 'v1', '', '', '{}', '{}')`;
    const refused = {
      writer: [
        'SELECT * FROM vault.subjects',
        'SELECT token FROM vault.lookups',
        'SELECT * FROM vault.erasures',
        'SELECT * FROM vault.key_versions',
        erase,
        `SELECT vault.mark_recorded('x')`,
      ],
      resolver: [
        add,
        erase,
        'DELETE FROM vault.subjects',
        'UPDATE vault.subjects SET purpose = purpose',
        'SELECT * FROM vault.lookups',
      ],
      eraser: [
        'SELECT identity FROM vault.subjects',
        'SELECT wrapped_key FROM vault.subjects',
        'SELECT * FROM vault.lookups',
        'DELETE FROM vault.erasures',
        'UPDATE vault.erasures SET reason = reason',
        add,
      ],
    } as const;
    for (const [role, statements] of Object.entries(refused))
      for (const sql of statements)
        expect([role, sql, await attempt(vault.url(role as 'writer'), sql)]).toEqual([
          role,
          sql,
          DENIED,
        ]);
    for (const role of ['writer', 'resolver', 'eraser'] as const)
      for (const sql of [
        'SET ROLE sealtrail_vault_owner',
        'CREATE TABLE vault.mine (a int)',
        'CREATE SCHEMA mine',
      ])
        expect([role, sql, await attempt(vault.url(role), sql)]).toEqual([role, sql, DENIED]);
    expect(await readSubject(vault.admin, token)).not.toBeNull();
  });

  test('the store is no place for a vault', async () => {
    const store = new pg.Client(server.url('admin'));
    await store.connect();
    await expect(createVaultSchema(store)).rejects.toThrow(/one of its own/);
    // And nothing of it was done.
    expect(await attempt(server.url('auditor'), 'SELECT * FROM audit.events')).toBe('done');
    await store.end();
  });
});

describe('erasure', () => {
  test('takes mapping and key, and leaves a note that is settled once', async () => {
    const token = await tokenOf('gone@example.org');
    const eraser = await vault.connect('eraser');
    expect(await eraseSubject(eraser, { ...eraseRequest(token), tenant: 'globex' })).toBeNull();
    const erased = await eraseSubject(eraser, eraseRequest(token));
    expect(erased).toMatchObject({ token, purpose: 'actor', keyVersion: 'v1', recordedAt: null });
    expect(await readSubject(vault.admin, token)).toBeNull();
    expect((await vault.dump()).split('\n').filter((row) => row.includes(token))).toHaveLength(1);
    // Nothing is left that a second run could take, and it may run.
    expect(await eraseSubject(eraser, eraseRequest(token))).toBeNull();
    expect((await pendingErasures(eraser)).map((one) => one.token)).toEqual([token]);
    const status = await readVaultStatus(vault.admin, [], Date.now());
    expect(status).toMatchObject({ ok: false, erasures_without_event: [{ token }] });
    await markRecorded(eraser, erased?.eventId ?? '');
    expect(await pendingErasures(eraser)).toEqual([]);
    expect((await findErasure(eraser, token))?.recordedAt).toBeInstanceOf(Date);
    expect(await readVaultStatus(vault.admin, [], Date.now())).toMatchObject({ ok: true });
    expect(await tokenOf('gone@example.org')).not.toBe(token);
  });

  test('is for good: no application gives the token to anybody again', async () => {
    const token = await tokenOf('reborn@example.org');
    const eraser = await vault.connect('eraser');
    await eraseSubject(eraser, eraseRequest(token));
    const writer = await vault.connect('writer');
    const add = (): Promise<unknown> =>
      writer.query('SELECT vault.add_subject($1, $2, $3, $4, $5, $6, $7, $8)', [
        ...[token, 'acme', 'actor', 'v1', '00'.repeat(80), '00'.repeat(29)],
        ...[['11'.repeat(32)], ['v1']],
      ]);
    await expect(add()).rejects.toThrow(/was erased/);
    expect(await readSubject(vault.admin, token)).toBeNull();
    for (const { eventId } of await pendingErasures(eraser)) await markRecorded(eraser, eventId);
  });

  test('that fails halfway takes nothing', async () => {
    const token = await tokenOf('stays@example.org');
    const eraser = await vault.connect('eraser');
    await expect(
      eraseSubject(eraser, { ...eraseRequest(token), eventId: 'none' }),
    ).rejects.toThrow();
    expect(await readSubject(vault.admin, token)).not.toBeNull();
    expect(await findErasure(eraser, token)).toBeNull();
  });

  test('while others add the same person leaves each of them a token', async () => {
    const eraser = await vault.connect('eraser');
    const subjects = await Promise.all([1, 2, 3].map(() => vault.openSubjects({ cacheMs: 0 })));
    for (let round = 0; round < 15; round++) {
      const tokens = await Promise.all(
        subjects.map(async (one) => (await one.tokensOf([personOf('busy@example.org')]))[0] ?? ''),
      );
      for (const token of tokens) expect(token).toMatch(/^sub_/);
      const again = subjects[0]?.tokensOf([personOf('busy@example.org')]);
      await Promise.all([again, eraseSubject(eraser, eraseRequest(tokens[0] ?? ''))]);
    }
    for (const { eventId } of await pendingErasures(eraser)) await markRecorded(eraser, eventId);
  });
});

test('its migrations are forward only, and of its own', async () => {
  expect(await createVaultSchema(vault.admin)).toEqual({ ok: true, value: { applied: [] } });
  await vault.admin.query(`UPDATE vault.schema_migrations SET checksum = 'other'`);
  expect(await createVaultSchema(vault.admin)).toMatchObject({ ok: false });
});
