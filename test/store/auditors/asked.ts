/** The log of what auditors ask, over the two tenants of auditors.test.ts, which starts the server. */
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { Asked } from '../../../auditor/answer.ts';
import { noteAccess } from '../../../auditor/access.ts';
import { carryAccesses, forgetAccesses, type Access } from '../../../store/access-log.ts';
import { grantAuditor } from '../../../store/auditors.ts';
import { scramVerifier } from '../../../store/scram.ts';
import type { Boundary } from '../../support/boundary.ts';
import { PASSWORD } from '../../support/store-kinds.ts';

/** `boundary`: once it is there. */
export function testAsked(boundary: () => Boundary): void {
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
      boundary().admin.query('SELECT * FROM audit.access_log ORDER BY access_id DESC LIMIT 1');

    test('of one’s own tenant may be answered, and is on file before', async () => {
      const alice = await boundary().connect('alice');
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
      const alice = await boundary().connect('alice');
      for (const tenant of ['zeta', 'no-such-tenant']) {
        expect(await noteAccess(alice, asked({ tenant }))).toMatchObject({
          error: { kind: 'forbidden' },
        });
        expect((await filed()).rows).toMatchObject([
          { login: 'alice', tenant_id: tenant, allowed: false },
        ]);
      }
      const all = await boundary().connect('sealtrail_auditor');
      expect(await noteAccess(all, asked({ tenant: 'zeta' }))).toMatchObject({ ok: true });
    });

    test('no setting and no role makes it another login’s question, and nobody reads or changes another’s', async () => {
      const alice = await boundary().connect('alice');
      const bob = await boundary().connect('bob');
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
      await expect(
        boundary().admin.query('UPDATE audit.access_log SET allowed = true'),
      ).rejects.toThrow(/append-only/);
      const writer = await boundary().connect('sealtrail_writer');
      expect(await noteAccess(writer, asked())).toMatchObject({ error: { kind: 'forbidden' } });
    });

    test('of any tenant by the owner of the store is told to be allowed, and is on file', async () => {
      const owner = await boundary().connect('sealtrail_owner');
      for (const [client, login] of [
        [owner, 'sealtrail_owner'],
        [boundary().admin, undefined],
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
        await boundary().admin.query(
          `INSERT INTO audit.access_log (asked_at, login, application, question, tenant_id, parameters, allowed)
         VALUES (clock_timestamp() - $1 * interval '1 day', 'old', '', $2, 'acme', '{}', true)`,
          [days, `days-${days}`],
        );
      // One of them is not in the trail yet.
      await boundary().admin.query(
        `INSERT INTO audit.access_pending SELECT access_id FROM audit.access_log WHERE question = 'days-402'`,
      );
      const left = async (): Promise<unknown[]> => {
        const { rows } = await boundary().admin.query<{ question: string }>(
          `SELECT question FROM audit.access_log WHERE login = 'old' ORDER BY question`,
        );
        return rows.map(({ question }) => question);
      };
      const alice = await boundary().connect('alice');
      const owner = await boundary().connect('sealtrail_owner');
      await expect(alice.query('SELECT audit.forget_accesses()')).rejects.toThrow(
        /permission denied/,
      );
      await expect(owner.query('DELETE FROM audit.access_log')).rejects.toThrow(
        /permission denied/,
      );
      const writer = await boundary().connect('sealtrail_writer');
      await expect(writer.query('DELETE FROM audit.access_log')).rejects.toThrow(
        /permission denied/,
      );
      expect(await left()).toHaveLength(4);
      expect(await forgetAccesses(writer)).toBe(2);
      expect(await left()).toEqual(['days-399', 'days-402']);
      await boundary().admin.query('DELETE FROM audit.access_pending');
      expect(await forgetAccesses(writer)).toBe(1);
      expect(await left()).toEqual(['days-399']);
    });

    test('what is no question is refused in words', async () => {
      const alice = await boundary().connect('alice');
      for (const wrong of [
        { question: 'Drop table' },
        { tenant: 'a b' },
        { since: 'yesterday-ish' },
      ])
        expect(await noteAccess(alice, asked(wrong))).toMatchObject({ error: { kind: 'invalid' } });
      const long = `SELECT audit.note_access('a', 'acme', NULL, NULL, jsonb_build_object('a', repeat('x', 5000)))`;
      await expect(alice.query(long)).rejects.toThrow(/no question/);
      // A tool asks with long lists of ids: the log has their beginning, and the digest of the whole.
      expect(
        await noteAccess(alice, asked({ parameters: { ids: 'i'.repeat(8000) } })),
      ).toMatchObject({ ok: true });
      expect((await filed()).rows).toMatchObject([
        { parameters: { ids: expect.stringMatching(/^i{200}… sha256:[0-9a-f]{64}$/) } },
      ]);
      expect(await noteAccess(alice, asked())).toMatchObject({ ok: true });
    });

    test('rows are carried once, by whoever is first, also one that was committed behind a later one', async () => {
      const writer = await boundary().connect('sealtrail_writer');
      const other = await boundary().connect('sealtrail_writer');
      const carry = async (client: pg.Client): Promise<Access[]> => {
        const taken: Access[] = [];
        await carryAccesses(client, 100, (rows) => Promise.resolve(void taken.push(...rows)));
        return taken;
      };
      await carry(writer);
      const alice = await boundary().connect('alice');
      const late = await boundary().connect('alice');
      await late.query(
        `BEGIN; SELECT audit.note_access('late', 'acme', '2026-11-01Z', NULL, '{}')`,
      );
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
      await grantAuditor(boundary().admin, {
        ...{ login: 'mallory', tenants: ['acme'], verifier: scramVerifier(PASSWORD) },
      });
      const mallory = await boundary().connect('mallory');
      await mallory.query(`DO $$ BEGIN FOR i IN 1..3600 LOOP
      PERFORM audit.note_access('a', 'acme', NULL, NULL, '{}'); END LOOP; END $$`);
      for (let again = 0; again < 3; again += 1)
        expect(await noteAccess(mallory, asked())).toMatchObject({
          error: { kind: 'unavailable' },
        });
      const rows = await boundary().admin.query(
        `SELECT question, allowed FROM audit.access_log WHERE login = 'mallory' ORDER BY access_id DESC`,
      );
      expect(rows.rowCount).toBe(3601);
      expect(rows.rows.slice(0, 2)).toEqual([
        { question: '(too many)', allowed: false },
        { question: 'a', allowed: true },
      ]);
      // Others are not in the way of it.
      expect(await noteAccess(await boundary().connect('alice'), asked())).toMatchObject({
        ok: true,
      });
    });
  });
}
