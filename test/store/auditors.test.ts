/** Auditors are granted and revoked: who is refused, what is made, what is ended; and the log of what they ask (auditors/asked.ts). */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  findLoginFault,
  findTenantFault,
  grantAuditor,
  listAuditors,
  revokeAuditor,
} from '../../store/auditors.ts';
import { findPasswordFault, scramVerifier } from '../../store/scram.ts';
import { openBoundary, SECRET_COUNT, type Boundary } from '../support/boundary.ts';
import { testAsked } from './auditors/asked.ts';

let boundary: Boundary;
let admin: pg.Client;
beforeAll(async () => {
  boundary = await openBoundary('embedded');
  admin = boundary.admin;
});
afterAll(() => boundary[Symbol.asyncDispose]());

const PASSWORD = 'a password of an auditor';
const grant = (login: string, tenants = ['acme']) =>
  grantAuditor(admin, { login, tenants, verifier: scramVerifier(PASSWORD) });
const find = async (login: string) =>
  (await listAuditors(admin)).find((one) => one.login === login);

describe('granting', () => {
  test('makes a login that sees these tenants, and adds to what it sees', async () => {
    const made = { login: 'carol', can_log_in: true, faults: [] };
    expect(await grant('carol')).toMatchObject({ ok: true, value: { ...made, tenants: ['acme'] } });
    const carol = await boundary.connect('carol');
    expect((await carol.query('SELECT FROM audit.events')).rowCount).toBe(10);
    expect(await grant('carol', ['acme', 'zeta'])).toMatchObject({
      value: { tenants: ['acme', 'zeta'] },
    });
    expect((await carol.query('SELECT FROM audit.events')).rowCount).toBe(10 + SECRET_COUNT);
    expect(await grant('carol', ['*'])).toMatchObject({
      value: { tenants: ['*', 'acme', 'zeta'] },
    });
  });

  test.each([
    ['a superuser', 'SUPERUSER', /superuser/],
    ['BYPASSRLS', 'BYPASSRLS', /BYPASSRLS/],
    ['CREATEROLE', 'CREATEROLE', /CREATEROLE/],
    ['REPLICATION', 'REPLICATION', /REPLICATION/],
    ['a writer', 'IN ROLE sealtrail_writer', /member of sealtrail_writer/],
    ['the owner, at one remove', 'IN ROLE between', /member of between,.* sealtrail_owner/],
    ['whoever reads all data', 'IN ROLE pg_read_all_data', /member of pg_read_all_data/],
    ['whoever can make auditors', 'ADMIN_OPTION', /make others members/],
    ['a role that nobody logs in as', 'NOLOGIN', /nobody logs in/],
  ])('refuses %s, and leaves no trace', async (_who, has, why) => {
    await admin.query(
      `DROP ROLE IF EXISTS eve, between; CREATE ROLE between IN ROLE sealtrail_owner`,
    );
    await admin.query(
      `CREATE ROLE eve ${has === 'NOLOGIN' ? '' : 'LOGIN'} ${has === 'ADMIN_OPTION' ? '' : has}`,
    );
    if (has === 'ADMIN_OPTION')
      await admin.query('GRANT sealtrail_auditor TO eve WITH ADMIN OPTION');
    expect(await grant('eve')).toMatchObject({ ok: false, error: expect.stringMatching(why) });
    const left = await admin.query(`SELECT FROM audit.auditor_tenants WHERE role_name = 'eve'`);
    expect(left.rowCount).toBe(0);
    await admin.query('DROP ROLE eve, between');
  });

  test('what was granted by hand and opens the boundary is named, and a grant closes it', async () => {
    await admin.query(`CREATE ROLE dora LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_auditor;
      INSERT INTO audit.auditor_tenants VALUES ('dora', 'acme'), ('nobody', 'acme')`);
    const dora = await boundary.connect('dora');
    const takeOver = `SET ROLE sealtrail_auditor; ALTER ROLE sealtrail_auditor PASSWORD NULL; RESET ROLE`;
    // The embedded server's own auditor sees every tenant: whoever becomes it can set its password.
    expect(await find('dora')).toMatchObject({ faults: [expect.stringMatching(/grant again/)] });
    await dora.query('BEGIN');
    await dora.query(takeOver);
    await dora.query('ROLLBACK');
    expect(await grant('dora')).toMatchObject({ ok: true });
    await expect(dora.query(takeOver)).rejects.toThrow(/permission denied to set role/);
    expect(await find('dora')).toMatchObject({ faults: [] });
    expect(await find('nobody')).toMatchObject({ faults: ['there is no such login'] });
    await admin.query(`DELETE FROM audit.auditor_tenants WHERE role_name = 'nobody'`);
  });

  test('who may not make logins is told what to do', async () => {
    const owner = await boundary.connect('sealtrail_owner');
    const refused = await grantAuditor(owner, {
      login: 'frank',
      tenants: ['acme'],
      verifier: null,
    });
    expect(refused).toMatchObject({
      error: expect.stringMatching(/CREATEROLE[^]*CREATE ROLE "frank" LOGIN/),
    });
    await admin.query('CREATE ROLE frank LOGIN; GRANT sealtrail_auditor TO frank WITH SET FALSE');
    expect(
      await grantAuditor(owner, { login: 'frank', tenants: ['acme'], verifier: null }),
    ).toMatchObject({ ok: true });
  });

  test('names and passwords that are none are refused', () => {
    for (const login of [
      '',
      '1a',
      'a b',
      'a;b',
      'sealtrail_owner',
      'PG_monitor',
      'public',
      'x'.repeat(64),
    ])
      expect([login, findLoginFault(login)]).toEqual([login, expect.any(String)]);
    for (const login of ['alice', 'alice@example.org', 'Al-1.b_c'])
      expect(findLoginFault(login)).toBeNull();
    for (const tenant of ['', 'a b', '**', 'a/b'])
      expect(findTenantFault(tenant)).toEqual(expect.any(String));
    for (const tenant of ['*', 'acme', 'a.b-c_1']) expect(findTenantFault(tenant)).toBeNull();
    for (const password of ['short', 'long enough, yet with ü', 'two\nlines of a password'])
      expect(findPasswordFault(password)).toEqual(expect.any(String));
    expect(findPasswordFault(PASSWORD)).toBeNull();
  });
});

describe('revoking', () => {
  test('takes tenants, ends the sessions, and drops the login where that is asked for', async () => {
    await grant('grace', ['acme', 'zeta']);
    const grace = await boundary.connect('grace');
    // A snapshot that is open would go on seeing what it saw.
    await grace.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM audit.events');
    const some = await revokeAuditor(admin, { login: 'grace', tenants: ['zeta'], drop: false });
    expect(some).toEqual({
      ok: true,
      value: { tenants: ['zeta'], ended: 1, left: 0, kept: null, seen: [] },
    });
    await expect(grace.query('SELECT count(*) FROM audit.events')).rejects.toThrow();
    expect(await find('grace')).toMatchObject({ tenants: ['acme'] });
    const again = await boundary.connect('grace');
    expect((await again.query('SELECT FROM audit.events')).rowCount).toBe(10);
    await admin.query('GRANT TEMP ON DATABASE sealtrail TO grace');
    const kept = await revokeAuditor(admin, { login: 'grace', tenants: null, drop: true });
    expect(kept).toMatchObject({
      value: { tenants: ['acme'], kept: expect.stringMatching(/depend/) },
    });
    expect(await find('grace')).toMatchObject({ tenants: [] });
    await admin.query('REVOKE TEMP ON DATABASE sealtrail FROM grace');
    expect(await revokeAuditor(admin, { login: 'grace', tenants: null, drop: true })).toMatchObject(
      { value: { kept: null } },
    );
    expect(await find('grace')).toBeUndefined();
    await expect(boundary.connect('grace')).rejects.toThrow();
    expect(await revokeAuditor(admin, { login: 'grace', tenants: null, drop: true })).toMatchObject(
      { ok: false },
    );
  });

  test('a tenant that is taken from a login which sees all of them is said to be seen still', async () => {
    await grant('henry', ['*']);
    const some = await revokeAuditor(admin, { login: 'henry', tenants: ['acme'], drop: false });
    expect(some).toMatchObject({ ok: true, value: { tenants: [], seen: ['acme'] } });
    const all = await revokeAuditor(admin, { login: 'henry', tenants: ['*'], drop: true });
    expect(all).toMatchObject({ ok: true, value: { tenants: ['*'], seen: [], kept: null } });
  });
});

testAsked(() => boundary);
