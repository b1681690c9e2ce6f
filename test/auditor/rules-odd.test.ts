/**
 * Odd events, and each question about them: the statement and the rule that shares nothing with it say the same, so that the
 * certificate of an untouched store never cries wolf. Every value that a statement looks at is drawn from what is odd about it.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Asked } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import { jsonbText } from '../../auditor/rules/jsonb-text.ts';
import { isTimeZone } from '../../auditor/resolve.ts';
import { readInstant } from '../../auditor/times.ts';
import type { Json } from '../../schemas/event.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer, type EventFields } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const NUMBERS: readonly Json[] = [
  0, -5, 1000, 1000.5, 1001, 1e-7, 1.5e-10, 123456.789e-20, 9007199254740991, 42,
];
const TEXTS: readonly Json[] = [
  ...[
    '',
    ' ',
    '1e5',
    '1.e5',
    '1001',
    '1000.50',
    ' 2000',
    '2000\n',
    '٢٠٠٠',
    '-1',
    '0x7d0',
    '1_000',
    '9'.repeat(30),
    '9'.repeat(31),
  ],
  ...[
    'T-1',
    't-1',
    'see T-12, not T-13',
    'ABCDEFGHIJKLM-1',
    'É-1 Ä T-5',
    'T-1234567890123',
    'A\u0001"\\ T-9',
    '%',
    '_',
    '\\u0041-1',
  ],
  ...[
    '42',
    'null',
    'true',
    '[]',
    'c-1',
    'C-1',
    'é',
    'e\u0301',
    '\u{1F600}',
    "O'Brien",
    `"assignee":"u-1"`,
  ],
];
const OTHERS: readonly Json[] = [
  ...[null, true, false, [], {}, ['T-1', 'T-2'], [2000], { n: 2000 }, { aa: 'A-1', b: 'B-2' }],
  ...[
    { bb: 'A-1', a: { c: 'B-2', aa: 1e-9 } },
    { é: 'A-1', zz: 'B-2' },
    { row_count: 5000, ticket: 'T-1', assignee: 'u-1' },
  ],
];
const VALUES: readonly Json[] = [...NUMBERS, ...TEXTS, ...OTHERS];
const NAMES = ['ticket', 'reason', 'customer', 'row_count', 'assignee'];
const LONG = 'ö'.repeat(900);
const IDS = [
  'u-1',
  'U-1',
  '42',
  '0.0000001',
  'c-1',
  'é',
  'e\u0301',
  '%',
  LONG,
  'T-1',
  '{"aa": "A-1"}',
];
const ZONES = [
  'Europe/Berlin',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'America/Havana',
  'Africa/Cairo',
];
/** Opens, closes, days; one in each zone, of which clocks are put at other hours. */
const HOURS = [
  ['02:30', '03:15', 'mon,tue,wed,thu,fri,sat,sun'],
  ['08:00', '18:00', 'mon,tue,wed,thu,fri'],
  ['00:30', '23:30', 'sun'],
  ['00:00', '00:01', 'fri,sat'],
] as const;
/** On either side of times at which clocks are put, and at borders of the range. */
const TIMES = [
  ...[
    '2026-03-28T23:59:59.999Z',
    '2026-03-29T00:00:00.000Z',
    '2026-03-29T00:59:59.999Z',
    '2026-03-29T01:00:00.000Z',
  ],
  ...[
    '2026-03-29T01:15:00.000Z',
    '2026-03-29T01:20:00.000Z',
    '2026-03-29T01:30:00.000Z',
    '2026-03-08T05:30:00.000Z',
  ],
  ...[
    '2026-10-25T00:30:00.000Z',
    '2026-10-25T01:30:00.000Z',
    '2026-11-01T04:30:00.000Z',
    '2026-11-01T05:30:00.000Z',
  ],
  ...[
    '2026-04-24T22:30:00.000Z',
    '2026-10-29T20:30:00.000Z',
    '2026-10-29T21:30:00.000Z',
    '2026-03-31T22:00:00.000Z',
  ],
];
/** Beyond what a partition of their own is made for. */
const FAR = [
  '0001-01-03T00:00:00.000Z',
  '0049-12-31T23:00:00.000Z',
  '0050-06-01T12:00:00.000Z',
  '1969-12-31T23:59:59.999Z',
  '9999-12-31T23:59:59.999Z',
];

function createDice(seed: number): <T>(of: readonly T[]) => T {
  let state = seed;
  return (of) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return of[Math.floor((state / 2_147_483_648) * of.length)]!;
  };
}

function makeEvents(seed: number): EventFields[] {
  const one = createDice(seed);
  const odd = Array.from({ length: 350 }, (): EventFields => {
    const names = NAMES.filter(() => one([0, 0, 1]) === 1);
    const metadata = Object.fromEntries(names.map((name) => [name, one(VALUES)]));
    const isTicket = one([0, 0, 1]) === 1;
    return {
      ...{
        time: one([...TIMES, ...TIMES, ...FAR]),
        actor: one(IDS),
        outcome: one(['success', 'success', 'denied', 'failure'] as const),
      },
      action: isTicket
        ? one(['ticket.assign', 'ticket.assign', 'ticket.close'])
        : one(['customer.export', 'invoice.read']),
      category: one(['data_access', 'authentication']),
      resourceType: isTicket ? 'ticket' : one(['customer', 'ticket', 'Customer']),
      resourceId: one(IDS),
      metadata: one([0, 0, 0, 0, 1]) === 1 ? { ...metadata, note: 'a\u0000b' } : metadata,
      ...(one([0, 1, 1]) === 0 ? { onBehalfOf: one(IDS) } : {}),
    };
  });
  // What is odd about a count, each once.
  return [...odd, ...VALUES.map((row_count) => ({ time: TIMES[0]!, metadata: { row_count } }))];
}

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
    const records = makeEvents(7)
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
