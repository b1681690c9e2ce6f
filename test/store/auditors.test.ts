/** Auditors are granted and revoked: who is refused, what is made, what is ended; and the log of what they ask. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Asked } from '../../auditor/answer.ts';
import { noteAccess } from '../../auditor/access.ts';
import { carryAccesses, forgetAccesses, type Access } from '../../store/access-log.ts';
import {
  findLoginFault,
  findTenantFault,
  grantAuditor,
  listAuditors,
  revokeAuditor,
} from '../../store/auditors.ts';
import { findPasswordFault, scramVerifier } from '../../store/scram.ts';
import { openBoundary, SECRET_COUNT, type Boundary } from '../support/boundary.ts';

let boundary: Boundary;
let admin: pg.Client;
beforeAll(async () => {
  boundary = await openBoundary('embedded');
  admin = boundary.admin;
}, 60_000);
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

describe('what is asked', () => {
  const asked = (over: Partial<Asked> = {}): Asked => ({
    ...{
      question: 'actor-activity',
      tenant: 'acme',
      timeZone: 'UTC',
      parameters: { actor: 'u-1' },
    },
    ...{ since: '2026-11-01T00:00:00Z', until: '2026-12-01T00:00:00Z', ...over },
  });
  const filed = (): Promise<pg.QueryResult> =>
    admin.query('SELECT * FROM audit.access_log ORDER BY access_id DESC LIMIT 1');

  test('of one’s own tenant may be answered, and is on file before', async () => {
    const alice = await boundary.connect('alice');
    expect(await noteAccess(alice, asked())).toEqual({ ok: true, value: undefined });
    expect((await filed()).rows).toMatchObject([
      {
        login: 'alice',
        question: 'actor-activity',
        tenant_id: 'acme',
        allowed: true,
        parameters: { actor: 'u-1', time_zone: 'UTC' },
      },
    ]);
  });

  test('of another tenant is refused, whether there is such a one or not, and is on file all the same', async () => {
    const alice = await boundary.connect('alice');
    for (const tenant of ['zeta', 'no-such-tenant']) {
      expect(await noteAccess(alice, asked({ tenant }))).toMatchObject({
        error: { kind: 'forbidden' },
      });
      expect((await filed()).rows).toMatchObject([
        { login: 'alice', tenant_id: tenant, allowed: false },
      ]);
    }
    const all = await boundary.connect('sealtrail_auditor');
    expect(await noteAccess(all, asked({ tenant: 'zeta' }))).toMatchObject({ ok: true });
  });

  test('no setting and no role makes it another login’s question, and nobody reads or changes another’s', async () => {
    const alice = await boundary.connect('alice');
    const bob = await boundary.connect('bob');
    await alice.query(`SET application_name = 'bob'`);
    await noteAccess(alice, asked());
    expect((await filed()).rows).toMatchObject([{ login: 'alice', application: 'bob' }]);
    await noteAccess(bob, asked({ tenant: 'zeta' }));
    for (const [client, login] of [
      [alice, 'alice'],
      [bob, 'bob'],
    ] as const) {
      const seen = await client.query('SELECT DISTINCT login FROM audit.access_log');
      expect(seen.rows).toEqual([{ login }]);
      for (const sql of [
        'DELETE FROM audit.access_log',
        'UPDATE audit.access_log SET allowed = true',
        'TRUNCATE audit.access_log',
        'SELECT * FROM audit.access_pending',
        'DELETE FROM audit.access_pending',
      ])
        await expect(client.query(sql), sql).rejects.toThrow(/permission denied/);
    }
    await expect(admin.query('UPDATE audit.access_log SET allowed = true')).rejects.toThrow(
      /append-only/,
    );
    const writer = await boundary.connect('sealtrail_writer');
    expect(await noteAccess(writer, asked())).toMatchObject({ error: { kind: 'forbidden' } });
  });

  test('of any tenant by the owner of the store is told to be allowed, and is on file', async () => {
    const owner = await boundary.connect('sealtrail_owner');
    for (const [client, login] of [
      [owner, 'sealtrail_owner'],
      [admin, undefined],
    ] as const) {
      expect(await noteAccess(client, asked({ tenant: 'zeta' }))).toMatchObject({ ok: true });
      const [row] = (await filed()).rows as [{ login: string; allowed: boolean }];
      expect(row.allowed).toBe(true);
      if (login !== undefined) expect(row.login).toBe(login);
    }
  });

  test('is forgotten when it is in the trail since long, and by nobody else and nothing else', async () => {
    const ages = [401, 500, 399, 402];
    for (const days of ages)
      await admin.query(
        `INSERT INTO audit.access_log (asked_at, login, application, question, tenant_id, parameters, allowed)
         VALUES (clock_timestamp() - $1 * interval '1 day', 'old', '', $2, 'acme', '{}', true)`,
        [days, `days-${days}`],
      );
    // One of them is not in the trail yet.
    await admin.query(
      `INSERT INTO audit.access_pending SELECT access_id FROM audit.access_log WHERE question = 'days-402'`,
    );
    const left = async (): Promise<unknown[]> => {
      const { rows } = await admin.query<{ question: string }>(
        `SELECT question FROM audit.access_log WHERE login = 'old' ORDER BY question`,
      );
      return rows.map(({ question }) => question);
    };
    const alice = await boundary.connect('alice');
    const owner = await boundary.connect('sealtrail_owner');
    await expect(alice.query('SELECT audit.forget_accesses()')).rejects.toThrow(
      /permission denied/,
    );
    await expect(owner.query('DELETE FROM audit.access_log')).rejects.toThrow(/permission denied/);
    const writer = await boundary.connect('sealtrail_writer');
    await expect(writer.query('DELETE FROM audit.access_log')).rejects.toThrow(/permission denied/);
    expect(await left()).toHaveLength(4);
    expect(await forgetAccesses(writer)).toBe(2);
    expect(await left()).toEqual(['days-399', 'days-402']);
    await admin.query('DELETE FROM audit.access_pending');
    expect(await forgetAccesses(writer)).toBe(1);
    expect(await left()).toEqual(['days-399']);
  });

  test('what is no question is refused in words', async () => {
    const alice = await boundary.connect('alice');
    for (const wrong of [{ question: 'Drop table' }, { tenant: 'a b' }, { since: 'yesterday-ish' }])
      expect(await noteAccess(alice, asked(wrong))).toMatchObject({ error: { kind: 'invalid' } });
    const long = `SELECT audit.note_access('a', 'acme', NULL, NULL, jsonb_build_object('a', repeat('x', 5000)))`;
    await expect(alice.query(long)).rejects.toThrow(/no question/);
    // A tool asks with long lists of ids: the log has their beginning, and the digest of the whole.
    expect(await noteAccess(alice, asked({ parameters: { ids: 'i'.repeat(8000) } }))).toMatchObject(
      { ok: true },
    );
    expect((await filed()).rows).toMatchObject([
      { parameters: { ids: expect.stringMatching(/^i{200}… sha256:[0-9a-f]{64}$/) } },
    ]);
    expect(await noteAccess(alice, asked())).toMatchObject({ ok: true });
  });

  test('rows are carried once, by whoever is first, also one that was committed behind a later one', async () => {
    const writer = await boundary.connect('sealtrail_writer');
    const other = await boundary.connect('sealtrail_writer');
    const carry = async (client: pg.Client): Promise<Access[]> => {
      const taken: Access[] = [];
      await carryAccesses(client, 100, (rows) => Promise.resolve(void taken.push(...rows)));
      return taken;
    };
    await carry(writer);
    const alice = await boundary.connect('alice');
    const late = await boundary.connect('alice');
    await late.query(`BEGIN; SELECT audit.note_access('late', 'acme', '2026-11-01Z', NULL, '{}')`);
    await noteAccess(alice, asked({ question: 'early' }));
    expect((await carry(writer)).map(({ question }) => question)).toEqual(['early']);
    await late.query('COMMIT');
    const failed = carryAccesses(writer, 100, () => Promise.reject(new Error('disk full')));
    await expect(failed).rejects.toThrow('disk full');
    let others: Access[] = [];
    await carryAccesses(writer, 100, async (rows) => {
      expect(rows).toMatchObject([
        { question: 'late', login: 'alice', since: '2026-11-01T00:00:00.000Z' },
      ]);
      others = await carry(other);
    });
    expect([others, await carry(writer)]).toEqual([[], []]);
  });

  test('who asks without end is stopped, seen, and fills no disk', async () => {
    await grant('mallory');
    const mallory = await boundary.connect('mallory');
    await mallory.query(`DO $$ BEGIN FOR i IN 1..3600 LOOP
      PERFORM audit.note_access('a', 'acme', NULL, NULL, '{}'); END LOOP; END $$`);
    for (let again = 0; again < 3; again += 1)
      expect(await noteAccess(mallory, asked())).toMatchObject({ error: { kind: 'unavailable' } });
    const rows = await admin.query(
      `SELECT question, allowed FROM audit.access_log WHERE login = 'mallory' ORDER BY access_id DESC`,
    );
    expect(rows.rowCount).toBe(3601);
    expect(rows.rows.slice(0, 2)).toEqual([
      { question: '(too many)', allowed: false },
      { question: 'a', allowed: true },
    ]);
    // Others are not in the way of it.
    expect(await noteAccess(await boundary.connect('alice'), asked())).toMatchObject({ ok: true });
  });
});
