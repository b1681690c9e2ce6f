/** Every question, against plain filters over the same events; page by page and as a stream; as a tenant's auditor. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnswerRow, Asked } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import { CATALOGUE } from '../../auditor/catalogue.ts';
import { SENSITIVE_ACTIONS } from '../../auditor/questions/parameters.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer, type EventFields } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { compare, denials, once, RULES, silences, type Held, type OracleAsked } from './oracle.ts';

const HOSTILE = `O'Brien "x" \\ %_ \u{1F600} é\u0301 $1; --`;
const LONG = 'ö'.repeat(900);
const ACTORS = ['u-1', 'u-2', HOSTILE, 'u_admin_alice'];
const CUSTOMERS = ['c-1', 'c-2', 'c-9', LONG, HOSTILE];
const ACTIONS = ['patient.record_read', 'invoice.read', 'customer.export', 'user.login'];
/** Around the night in which summer time ends in Berlin, and a month's end. */
const FROM = Date.parse('2026-10-22T00:00:00.000Z');

let server: TestPostgres;
let auditor: Auditor;
let held: Held[] = [];

/** The same each time: a linear congruence. */
function createDice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * sides);
  };
}

function makeEvents(tenant: string): EventFields[] {
  const roll = createDice(tenant.length);
  const one = <T>(of: readonly T[]): T => of[roll(of.length)]!;
  return Array.from({ length: 400 }, (_, n) => {
    // Within minutes, so that some are of the same moment; and now and then hours apart.
    const time = new Date(FROM + Math.floor(n / 2) * 4_200_000 + roll(3) * 1_800_000).toISOString();
    const kind = roll(20);
    if (kind < 3) {
      const id = `T-${roll(6)}`;
      return kind === 0
        ? { tenant, time, action: 'ticket.close', resourceType: 'ticket', resourceId: id }
        : {
            ...{ tenant, time, action: 'ticket.assign', resourceType: 'ticket', resourceId: id },
            metadata: { assignee: one(ACTORS), customer: one(CUSTOMERS) },
          };
    }
    const metadata = [
      {},
      { ticket: `T-${roll(6)}` },
      { ticket: '' },
      { reason: `asked for in T-${roll(6)}, by phone` },
      { reason: 'no ticket', customer: one(CUSTOMERS) },
      { row_count: one([5, 1000, 1001, 250_000]) },
      { row_count: one(['9007199254740993', 'many', '']) },
      { note: 'a\u0000b', ticket: 'T-1' },
    ][roll(8)]!;
    const isCustomer = roll(3) > 0;
    return {
      ...{ tenant, time, metadata, actor: one(ACTORS), action: one(ACTIONS) },
      category: one(['data_access', 'authentication']),
      outcome: one(['success', 'success', 'denied'] as const),
      resourceType: isCustomer ? 'customer' : 'invoice',
      resourceId: isCustomer ? one(CUSTOMERS) : `i-${roll(9)}`,
      ...(roll(4) === 0 ? { onBehalfOf: one(CUSTOMERS.slice(0, 3)) } : {}),
    };
  });
}

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const records = ['acme', 'zeta'].flatMap((tenant) => {
    const first = createSealer(`sealtrail/one/01K/${tenant}/standard`, tenant);
    const second = createSealer(`sealtrail/two/01K/${tenant}/standard`, tenant);
    return makeEvents(tenant).flatMap((fields, n) => {
      const record = (n % 3 === 0 ? second : first).seal(fields);
      // Some events reach the store by two agents.
      const again = { ...fields, event_id: record.event.event_id };
      return n % 29 === 0 ? [record, (n % 3 === 0 ? first : second).seal(again)] : [record];
    });
  });
  const stored = await store.appendRecords(records);
  if (!stored.ok) throw new Error(stored.error.message);
  expect(stored.value.stored).toBe(records.length);
  await store.close();
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  await admin.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor;
    INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  const streams = await admin.query<{ stream: string; stream_id: number }>(
    'SELECT stream, stream_id FROM audit.streams',
  );
  await admin.end();
  const ids = new Map(streams.rows.map((row) => [row.stream, row.stream_id]));
  held = once(records.map(({ event }) => ({ event, streamId: ids.get(event.chain.stream)! })));
  const url = new URL(server.url('auditor'));
  [url.username, url.password] = ['alice', 'pw'];
  auditor = createAuditor({ url: url.href });
});
afterAll(async () => {
  auditor.close();
  await server.stop();
});

async function askPages(asked: Asked, limit: number): Promise<AnswerRow[]> {
  const rows: AnswerRow[] = [];
  let cursor: string | null = null;
  do {
    const page = await auditor.ask(asked, { limit, ...(cursor === null ? {} : { cursor }) });
    if (!page.ok) throw new Error(page.error.message);
    rows.push(...page.value.rows);
    cursor = page.value.next;
  } while (cursor !== null);
  return rows;
}

async function askStream(asked: Asked): Promise<AnswerRow[]> {
  const stream = await auditor.stream(asked);
  if (!stream.ok) throw new Error(stream.error.message);
  const rows: AnswerRow[] = [];
  for await (const batch of stream.value.batches) rows.push(...batch);
  return rows;
}

const any = { actions: '*' };
const CASES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['all-activity', {}],
  ['all-activity', { outcome: 'denied' }],
  ['actor-activity', { actor: HOSTILE }],
  ['resource-history', { type: 'customer', id: LONG }],
  ['resource-history', { type: 'customer', id: HOSTILE }],
  ['action-occurrences', { action: 'customer.export', outcome: 'success' }],
  ['impersonations', { actor: 'u_admin_alice' }],
  ['access-without-ticket', { actions: SENSITIVE_ACTIONS.join(',') }],
  ['access-without-ticket', any],
  [
    'access-outside-tickets',
    { actor: 'u_admin_alice', actions: 'invoice.read,patient.record_read' },
  ],
  ['access-outside-tickets', { actor: HOSTILE, ...any }],
  ['subject-activity', { subject: 'c-1' }],
  ['subject-activity', { subject: LONG }],
  ['off-hours', {}],
  ['off-hours', { actor: 'u-2', category: '*', opens: '00:30', closes: '23:00', days: 'sun,mon' }],
  ['first-time-access', { actor: 'u-1' }],
  ['first-time-access', { actor: 'u-1', days: '2' }],
  ['first-time-access', { actor: HOSTILE, of: 'kind', days: '0.5' }],
  ['exports-over-rows', {}],
  ['exports-over-rows', { rows: '1000.5', action: 'user.login' }],
  ['denials-per-hour', { threshold: '1' }],
  ['denials-per-hour', { threshold: '1', action: 'user.login' }],
  ['denials-per-hour', { threshold: '2' }],
  ['silences', { minutes: '60' }],
  ['silences', { minutes: '90' }],
];
const RANGES = [
  ['2026-10-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z', 'Europe/Berlin'],
  ['2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z', 'America/New_York'],
] as const;

test('the cases ask every question but the one about gaps', () => {
  const asked = new Set(CASES.map(([question]) => question));
  expect(CATALOGUE.map(({ id }) => id).filter((id) => !asked.has(id))).toEqual(['producer-gaps']);
});

describe.each(RANGES)('%s to %s, %s', (since, until, timeZone) => {
  test.each(CASES)('%s %j: pages, stream and plain filter agree', async (question, parameters) => {
    const asked = { question, tenant: 'acme', since, until, timeZone, parameters };
    const rows = await askStream(asked);
    expect(await askPages(asked, 7)).toEqual(rows);
    const mine = held.filter(({ event }) => event.resource.tenant_id === 'acme').sort(compare);
    const plain: OracleAsked = {
      ...{ tenant: 'acme', p: parameters },
      ...{ since: Date.parse(since), until: Date.parse(until) },
    };
    const rule = RULES[question];
    if (rule === undefined) {
      const expected = question === 'silences' ? silences(mine, plain) : denials(mine, plain);
      const width = question === 'silences' ? 2 : 3;
      expect(rows.map(({ values }) => values.slice(0, width))).toEqual(expected);
      return;
    }
    const expected = mine.filter((one) => {
      const ms = Date.parse(one.event.event.time);
      return ms >= plain.since && ms < plain.until && rule(one, plain, mine, timeZone);
    });
    expect(rows.map(({ record }) => [record?.stream, record?.seq])).toEqual(
      expected.map(({ event }) => [event.chain.stream, event.chain.seq]),
    );
  });
});

test('in the whole range each of these questions finds something, and none finds all', async () => {
  const [since, until, timeZone] = RANGES[0];
  const all = held.filter(({ event }) => event.resource.tenant_id === 'acme').length;
  for (const [question, parameters] of CASES.slice(1)) {
    const asked = { question, tenant: 'acme', since, until, timeZone, parameters };
    const { length } = await askStream(asked);
    expect([question, length > 0 && length < all]).toEqual([question, true]);
  }
});

test('what is asked without actions is what the vocabulary keeps as health and financial data', () => {
  const path = join(import.meta.dirname, '../../config/vocabulary.json');
  const { actions } = JSON.parse(readFileSync(path, 'utf8')) as {
    actions: { action: string; retention_class: string }[];
  };
  const sensitive = actions.filter((one) => /^(health|financial)$/.test(one.retention_class));
  expect(SENSITIVE_ACTIONS).toEqual(sensitive.map(({ action }) => action));
  for (const name of ['ticket.assign', 'ticket.close'])
    expect(actions.map(({ action }) => action)).toContain(name);
});

describe('what cannot be asked is refused, with the parameter that is wrong', () => {
  const asked: Asked = {
    ...{ question: 'actor-activity', tenant: 'acme', parameters: { actor: 'u-1' } },
    ...{ since: RANGES[0][0], until: RANGES[0][1], timeZone: 'UTC' },
  };
  test.each([
    ['forbidden', 'tenant', { tenant: 'zeta' }],
    ['forbidden', 'tenant', { tenant: 'nobody' }],
    ['invalid', 'question', { question: 'actor-activty' }],
    ['invalid', 'actor', { parameters: {} }],
    ['invalid', 'actr', { parameters: { actr: 'u-1' } }],
    ['invalid', 'actor', { parameters: { actor: 'a\0b' } }],
    ['invalid', 'outcome', { parameters: { actor: 'u-1', outcome: 'denid' } }],
    ['invalid', 'time-zone', { timeZone: 'Mars/Olympus' }],
    ['invalid', 'time-zone', { timeZone: '+02:00' }],
    ['invalid', 'since', { since: '2026-10-01' }],
    ['invalid', 'until', { until: '2026-09-01T00:00:00Z' }],
    ['invalid', 'opens', { question: 'off-hours', parameters: { opens: '8' } }],
    ['invalid', 'minutes', { question: 'silences', parameters: { minutes: '0' } }],
  ])('%s %s %j', async (kind, parameter, change) => {
    expect((await auditor.ask(asked)).ok).toBe(true);
    const refused = await auditor.ask({ ...asked, ...change });
    expect(refused).toMatchObject({ ok: false, error: { kind, parameter } });
    expect(await auditor.stream({ ...asked, ...change })).toEqual(refused);
  });

  test('a cursor of another question, or of nobody', async () => {
    const all = { ...asked, question: 'all-activity', parameters: {} };
    const page = await auditor.ask(all, { limit: 1 });
    const next = page.ok ? page.value.next : null;
    expect(next).not.toBeNull();
    expect((await auditor.ask(all, { cursor: next! })).ok).toBe(true);
    for (const [one, cursor] of [
      [asked, next!],
      [all, 'x'],
      [all, btoa('["a","b","c","d"]')],
    ] as const)
      expect(await auditor.ask(one, { cursor })).toMatchObject({
        error: { kind: 'invalid', parameter: 'cursor' },
      });
  });
});
