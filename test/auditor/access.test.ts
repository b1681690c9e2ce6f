/** Who asks is on record before an answer, page by page; who asks about another tenant is refused, and on record. */
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import type { Asked } from '../../auditor/answer.ts';
import { openAuditEvents } from '../../auditor/join/audit-events.ts';
import { storeRecords } from '../../auditor/lake/records.ts';
import { openBoundary, OWN, type Boundary } from '../support/boundary.ts';

let boundary: Boundary;
let alice: Auditor;
beforeAll(async () => {
  boundary = await openBoundary('embedded');
  alice = createAuditor({ url: boundary.url('alice'), application: 'sealtrail web: a.liddell' });
});
afterAll(async () => {
  alice.close();
  await boundary[Symbol.asyncDispose]();
});

const asked = (tenant: string): Asked => ({
  ...{ question: 'actor-activity', tenant, timeZone: 'UTC', parameters: { actor: OWN } },
  ...{ since: '2024-01-01T00:00:00Z', until: '2100-01-01T00:00:00Z' },
});
const filed = async (): Promise<readonly object[]> => {
  const { rows }: pg.QueryResult<object> = await boundary.admin.query(
    'SELECT login, application, question, tenant_id, allowed FROM audit.access_log ORDER BY access_id',
  );
  return rows;
};
const row = (tenant_id: string, allowed: boolean): object => ({
  ...{ login: 'alice', application: 'sealtrail web: a.liddell', question: 'actor-activity' },
  ...{ tenant_id, allowed },
});

test('each page of an answer, and a whole answer, is on record', async () => {
  const first = await alice.ask(asked('acme'), { limit: 4 });
  if (!first.ok) throw new Error(first.error.message);
  expect(first.value.rows).toHaveLength(4);
  const second = await alice.ask(asked('acme'), { limit: 50, cursor: first.value.next ?? '' });
  expect(second).toMatchObject({ ok: true, value: { next: null } });
  const whole = await alice.stream(asked('acme'));
  if (!whole.ok) throw new Error(whole.error.message);
  let count = 0;
  for await (const batch of whole.value.batches) count += batch.length;
  expect(count).toBe(10);
  expect(await filed()).toEqual(Array.from({ length: 3 }, () => row('acme', true)));
});

test('another tenant is refused in so many words, and nothing of it is read', async () => {
  const before = (await filed()).length;
  for (const refused of [await alice.ask(asked('zeta')), await alice.stream(asked('zeta'))])
    expect(refused).toMatchObject({
      error: {
        kind: 'forbidden',
        message: expect.stringContaining('the attempt is on record') as string,
      },
    });
  expect((await filed()).slice(before)).toEqual([row('zeta', false), row('zeta', false)]);
});

test('an investigation is on record with what it found, and when it found nothing', async () => {
  const before = (await filed()).length;
  const idOf = async (tenant: string): Promise<string> => {
    const { rows }: pg.QueryResult<{ event_id: string }> = await boundary.admin.query(
      'SELECT event_id FROM audit.records WHERE tenant_id = $1 LIMIT 1',
      [tenant],
    );
    return rows[0]?.event_id ?? '';
  };
  const events = openAuditEvents(boundary.url('alice'));
  const found = await events.find(await idOf('acme'));
  expect(found).toMatchObject({ ok: true, value: { events: [{ isHashRight: true }] } });
  expect(await events.find(await idOf('zeta'))).toMatchObject({ ok: true, value: { events: [] } });
  events.close();
  const investigated = { application: 'sealtrail investigate', question: 'investigate' };
  expect((await filed()).slice(before)).toEqual([
    { ...row('acme', true), ...investigated },
    { ...row('acme', true), ...investigated },
  ]);
});

test('what is copied into a lake is on record before, tenant by tenant', async () => {
  const range = { since: '2024-01-01', until: '9999-12-31' };
  const copy = async (login: string): Promise<Set<string>> => {
    const tenants = new Set<string>();
    for await (const { event } of storeRecords(boundary.url(login), range))
      tenants.add(event.resource.tenant_id);
    return tenants;
  };
  const before = (await filed()).length;
  const noted = { application: 'sealtrail lake', question: 'lake' };
  expect(await copy('alice')).toEqual(new Set(['acme']));
  expect((await filed()).slice(before)).toEqual([{ ...row('acme', true), ...noted }]);
  // The owner reads all of it, and is on record for each.
  expect(await copy('sealtrail_owner')).toEqual(new Set(['acme', 'zeta']));
  expect((await filed()).slice(before + 1)).toEqual(
    ['acme', 'zeta'].map((tenant) => ({
      ...row(tenant, true),
      ...noted,
      login: 'sealtrail_owner',
    })),
  );
  await expect(copy('sealtrail_writer')).rejects.toThrow(/no auditor/);
});

test('where it cannot be put on record, nothing is answered', async () => {
  await boundary.admin.query('REVOKE EXECUTE ON FUNCTION audit.note_access FROM sealtrail_auditor');
  expect(await alice.ask(asked('acme'))).toMatchObject({ ok: false });
  const events = openAuditEvents(boundary.url('alice'));
  expect(await events.find('req-1')).toMatchObject({ ok: false });
  events.close();
  await boundary.admin.query('GRANT EXECUTE ON FUNCTION audit.note_access TO sealtrail_auditor');
  expect(await alice.ask(asked('acme'))).toMatchObject({ ok: true });
});
