/** Silences among so many records that most of them are passed over: each is found, to the millisecond, wherever it lies. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const BEGIN = Date.parse('2026-10-05T00:00:00.000Z');
const MINUTE_MS = 60_000;
/** By record: a pause behind it, in minutes. One in 128 is a milestone. */
const PAUSES: ReadonlyMap<number, number> = new Map([
  [200, 41],
  [383, 39.75],
  [384, 55],
  [1_000, 90],
  [1_001, 41.25],
  [2_047, 70],
]);
const SINCE = '2026-10-04T00:00:00.000Z';
const UNTIL = '2026-10-06T00:00:00.000Z';

let server: TestPostgres;
let auditor: Auditor;
const times: number[] = [];

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const sealer = createSealer('a/shop-1/1/acme/standard');
  let at = BEGIN;
  // A quarter of a minute apart: milestones are 32 minutes apart, which no silence of 40 is.
  const records = Array.from({ length: 2_100 }, (_, n) => {
    times.push(at);
    const record = sealer.seal({ time: new Date(at).toISOString() });
    at += 15_000 + (PAUSES.get(n) ?? 0) * MINUTE_MS;
    return record;
  });
  const stored = await store.appendRecords(records);
  if (!stored.ok || stored.value.stored !== records.length) throw new Error(JSON.stringify(stored));
  await store.close();
  auditor = createAuditor({ url: server.url('auditor') });
});
afterAll(async () => {
  auditor.close();
  await server.stop();
});

function expected(minutes: number): unknown[] {
  const marks = [Date.parse(SINCE), ...times, Date.parse(UNTIL)];
  return marks.slice(1).flatMap((to, index) => {
    const from = marks[index]!;
    return to - from > minutes * MINUTE_MS
      ? [[new Date(from).toISOString(), new Date(to).toISOString(), (to - from) / MINUTE_MS]]
      : [];
  });
}

// One of exactly so many minutes is none. Below 32 no two milestones are near enough, and of an agent there are none.
test.each([
  ['40', ''],
  ['41.5', ''],
  ['60', ''],
  ['20', ''],
  ['1', ''],
  ['40', 'shop-1'],
])('longer than %s minutes, of agent "%s"', async (minutes, agent) => {
  const rows = expected(Number(minutes));
  const asked = {
    ...{ question: 'silences', tenant: 'acme', timeZone: 'UTC', since: SINCE, until: UNTIL },
    parameters: { minutes, agent },
  };
  const found: unknown[] = [];
  let cursor: string | null = null;
  do {
    const page = await auditor.ask(asked, { limit: 2, ...(cursor === null ? {} : { cursor }) });
    if (!page.ok) throw new Error(page.error.message);
    found.push(...page.value.rows.map(({ values }) => values));
    cursor = page.value.next;
  } while (cursor !== null);
  expect(found).toEqual(rows);
  expect(rows.length).toBeGreaterThan(2);
});

test('an agent that nobody knows was silent all of the time', async () => {
  const asked = {
    question: 'silences',
    tenant: 'acme',
    timeZone: 'UTC',
    since: SINCE,
    until: UNTIL,
  };
  const page = await auditor.ask({ ...asked, parameters: { minutes: '60', agent: 'shop-9' } });
  if (!page.ok) throw new Error(page.error.message);
  expect(page.value.rows.map(({ values }) => values)).toEqual([[SINCE, UNTIL, 2 * 24 * 60]]);
});
