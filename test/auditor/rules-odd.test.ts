/**
 * Odd events, and each question about them: the statement and the rule that shares nothing with it say the same, so that the
 * certificate of an untouched store never cries wolf.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Asked } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import { jsonbText } from '../../auditor/rules/jsonb-text.ts';
import { isTimeZone } from '../../auditor/resolve.ts';
import { readInstant } from '../../auditor/times.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { HOURS, IDS, makeOddEvents, VALUES, ZONES } from './odd-events.ts';

let server: TestPostgres;
let client: pg.Client;
let auditor: Auditor;
let url = '';

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  // Two incarnations and two agents; and another tenant with the same ids of all.
  for (const tenant of ['acme', 'zeta']) {
    const sealers = ['one/01K', 'one/02K', 'two/01K'].map((at) =>
      createSealer(`sealtrail/${at}/${tenant}/standard`, tenant),
    );
    const records = makeOddEvents(7)
      .slice(tenant === 'acme' ? 0 : 350)
      .map((fields, n) =>
        sealers[n % 3]!.seal({ ...fields, receivedAt: '2026-11-02T00:00:00.000Z' }),
      );
    const again = records
      .filter((_, n) => n % 23 === 0)
      .map(({ event }, n) => {
        const { actor, resource, metadata, event_id, event: said } = event;
        return sealers[2]!.seal({
          ...{
            event_id,
            metadata,
            actor: actor.id,
            resourceType: resource.type,
            resourceId: resource.id,
          },
          ...{
            action: said.action,
            category: said.category,
            outcome: said.outcome,
            time: said.time,
          },
          ...(actor.on_behalf_of === null ? {} : { onBehalfOf: actor.on_behalf_of.id }),
          receivedAt: `2026-11-03T00:00:00.${String(n).padStart(3, '0')}Z`,
        });
      });
    const stored = await store.appendRecords([...records, ...again]);
    if (!stored.ok || stored.value.refused.length > 0) throw new Error(JSON.stringify(stored));
  }
  await store.close();
  client = new pg.Client(server.url('admin'));
  await client.connect();
  await client.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor;
    INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  const login = new URL(server.url('auditor'));
  [login.username, login.password] = ['alice', 'pw'];
  url = login.href;
  auditor = createAuditor({ url });
});
afterAll(async () => {
  auditor.close();
  await client.end();
  await server.stop();
});

const YEAR = { since: '2026-01-01T00:00:00.000Z', until: '2027-01-01T00:00:00.000Z' };

async function expectIntact(asked: Partial<Asked>): Promise<number> {
  const whole: Asked = {
    ...YEAR,
    question: '',
    tenant: 'acme',
    timeZone: 'UTC',
    parameters: {},
    ...asked,
  };
  const made = await certifyAnswer(auditor, whole, {
    url,
    known: null,
    trust: null,
    verifier: 'test',
  });
  if (!made.ok) throw new Error(`${JSON.stringify(asked)}: ${made.error.message}`);
  const { findings, finding, judged, rows } = made.value;
  expect([asked, findings.slice(0, 3), finding]).toEqual([
    asked,
    [],
    expect.stringMatching(/^Intact: /),
  ]);
  expect(judged).toMatchObject({ masked: 0 });
  return rows.count;
}

test('questions about ids of any form', async () => {
  const since = '2026-03-29T00:00:00.000Z';
  for (const [n, id] of IDS.entries()) {
    const isEven = n % 2 === 0;
    await expectIntact(
      isEven
        ? { question: 'subject-activity', parameters: { subject: id } }
        : { question: 'resource-history', parameters: { type: 'customer', id } },
    );
    const firsts = { actor: id, of: isEven ? 'record' : 'kind', days: '200.5' };
    await expectIntact({ question: 'first-time-access', since, parameters: firsts });
    const outside = { actor: id, actions: '*' };
    const range = isEven ? {} : { since };
    await expectIntact({ question: 'access-outside-tickets', ...range, parameters: outside });
  }
});

test('counts of rows of any form', async () => {
  for (const rows of ['41.999999', '1000', '1000.499999'])
    await expectIntact({ question: 'exports-over-rows', parameters: { rows } });
  const all = { question: 'exports-over-rows', parameters: { rows: '0' } };
  expect(await expectIntact(all)).toBeGreaterThan(5);
});

test('tickets named in any form', async () => {
  expect(
    await expectIntact({ question: 'access-without-ticket', parameters: { actions: '*' } }),
  ).toBeGreaterThan(20);
  await expectIntact({
    question: 'access-without-ticket',
    parameters: { actions: 'invoice.read' },
  });
});

describe.each(ZONES)('in %s', (timeZone) => {
  test.each(HOURS.filter((_, n) => n === ZONES.indexOf(timeZone) % HOURS.length))(
    'hours from %s to %s on %s',
    async (opens, closes, days) => {
      const parameters = { opens, closes, days, category: '*' };
      expect(await expectIntact({ question: 'off-hours', timeZone, parameters })).toBeGreaterThan(
        20,
      );
    },
  );

  test('denials by the hour', async () => {
    for (const since of ['2026-03-29T00:30:00.000Z', '2026-10-25T00:30:00.000Z']) {
      const parameters = { threshold: '1' };
      await expectIntact({ question: 'denials-per-hour', since, timeZone, parameters });
    }
  });
});

test('a day that the clock leaves out whole has no hours, and no record is told twice', async () => {
  const asked = {
    question: 'off-hours',
    since: '2011-12-29T00:00:00Z',
    until: '2012-01-03T00:00:00Z',
  };
  const parameters = { category: '*' };
  expect(await expectIntact({ ...asked, timeZone: 'Pacific/Apia', parameters })).toBe(3);
});

test('silences of an agent, whose records others repeat', async () => {
  for (const agent of ['', 'two', 'nobody']) {
    const parameters = { minutes: '29.999999', agent };
    await expectIntact({ question: 'silences', parameters });
  }
});

test.each([
  ['0001-01-02T00:00:00.000Z', '0003-01-01T00:00:00.000Z'],
  ['0049-01-01T00:00:00.000Z', '0051-01-01T00:00:00.000Z'],
  ['1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00.000Z'],
  ['9999-12-30T00:00:00.000Z', '9999-12-31T23:59:59.999Z'],
  ['2026-03-29T01:00:00.000Z', '2026-03-29T01:15:00.000Z'],
])('times from %s up to %s', async (since, until) => {
  const timeZone = 'Europe/Berlin';
  const hours = { category: '*', opens: '00:30', closes: '12:00' };
  await expectIntact({ question: 'all-activity', since, until });
  await expectIntact({ question: 'off-hours', since, until, timeZone, parameters: hours });
  const parameters = { threshold: '1' };
  await expectIntact({ question: 'denials-per-hour', since, until, timeZone, parameters });
  await expectIntact({ question: 'silences', since, until });
});

test('a value has the text that jsonb gives it', async () => {
  for (const value of VALUES) {
    const text = JSON.stringify({ value });
    const { rows } = await client.query<{ text: string | null }>(
      `SELECT $1::jsonb ->> 'value' AS text`,
      [text],
    );
    expect([value, value === null ? null : jsonbText(value)]).toEqual([value, rows[0]?.text]);
  }
});

test('a name that PostgreSQL takes for an offset is no time zone, and one with a region is', () => {
  expect(
    ['Europe/Berlin', 'europe/berlin', 'Etc/GMT+5', 'America/Argentina/Salta', 'UTC', 'GMT'].every(
      isTimeZone,
    ),
  ).toBe(true);
  expect(['CET', 'IST', 'BST', 'EST', '+02:00', 'Mars/Olympus', ''].some(isTimeZone)).toBe(false);
});

test.each([
  ['2026-02-28T00:00:00Z', '2026-02-28T00:00:00.000Z'],
  ['2026-10-01T08:00:00.123456789+14:00', '2026-09-30T18:00:00.123Z'],
  ['2026-02-30T00:00:00Z', null],
  ['2016-12-31T23:59:60Z', null],
  ['0000-01-01T00:00:00Z', null],
  ['0001-01-01T00:00:00+01:00', null],
  ['9999-12-31T23:59:59-01:00', null],
  ['2026-10-01T08:00:00', null],
])('the instant %s', (text, instant) => {
  expect(readInstant(text)).toBe(instant);
});
