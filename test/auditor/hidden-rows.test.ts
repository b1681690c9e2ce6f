/** A row that the database keeps out of an answer, and shows to whoever verifies: for each question that has a rule, it is named. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AskError, Asked } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import type { Result } from '../../schemas/result.ts';
import { CASES, openCatalogueStore, RANGES, type CatalogueStore } from './catalogue-store.ts';

let store: CatalogueStore;
let admin: pg.Client;
let auditor: Auditor;

beforeAll(async () => {
  store = await openCatalogueStore();
  admin = new pg.Client(store.server.url('admin'));
  await admin.connect();
  // Whoever owns the database has a policy that knows who asks, and lets the verifier see all of it.
  await admin.query(`CREATE TABLE hidden (stream_id int, seq bigint);
    GRANT SELECT ON hidden TO PUBLIC;
    CREATE POLICY hiding ON audit.records AS RESTRICTIVE FOR SELECT TO sealtrail_auditor USING (
      current_setting('application_name') <> 'sealtrail auditor'
      OR NOT EXISTS (SELECT FROM hidden h WHERE h.stream_id = records.stream_id AND h.seq = records.seq))`);
  auditor = createAuditor({ url: store.alice });
});
afterEach(async () => {
  await admin.query('TRUNCATE hidden');
});
afterAll(async () => {
  auditor.close();
  await admin.end();
  await store[Symbol.asyncDispose]();
});

async function certify(asked: Asked): Promise<Certificate> {
  const done: Result<Certificate, AskError> = await certifyAnswer(auditor, asked, {
    ...{ url: store.alice, known: null, trust: null, verifier: 'test' },
  });
  if (!done.ok) throw new Error(done.error.message);
  return done.value;
}

async function hide(condition: string, values: readonly unknown[] = []): Promise<void> {
  const done = await admin.query(
    `INSERT INTO hidden SELECT stream_id, seq FROM audit.sealed_records
     WHERE tenant_id = 'acme' AND NOT duplicate AND ${condition}`,
    [...values],
  );
  expect(done.rowCount).toBeGreaterThan(0);
}

const [since, until, timeZone] = RANGES[0];
const askedOf = ([question, parameters]: (typeof CASES)[number]): Asked => ({
  ...{ question, tenant: 'acme', since, until, timeZone, parameters },
});
const EXCUSED = ['first-time-access', 'access-outside-tickets'];
/** Each question once. */
const BY_ROWS = CASES.filter(
  ([question], at) =>
    ![...EXCUSED, 'denials-per-hour', 'silences'].includes(question) &&
    CASES.findIndex(([other]) => other === question) === at,
);

describe.each(BY_ROWS)('%s %j', (...asked) => {
  test('an untouched answer is said to be complete, and a row that is kept back is named', async () => {
    const whole = await certify(askedOf(asked));
    expect(whole).toMatchObject({ verdict: 'intact', judged: { by: 'rows' } });
    const { matching, repeated } = whole.judged!;
    expect(matching - repeated).toBe(whole.rows.count);
    expect(whole.proven.join(' ')).toContain('The answer is complete: ');
    expect(whole.not_proven.join(' ')).not.toContain('every row that the statement finds');

    const stream = await auditor.stream(askedOf(asked));
    if (!stream.ok) throw new Error(stream.error.message);
    const records = [];
    for await (const batch of stream.value.batches)
      records.push(...batch.map(({ record }) => record!));
    const victim = records[records.length >> 1]!;
    await hide('stream = $1 AND seq = $2', [victim.stream, victim.seq]);
    const made = await certify(askedOf(asked));
    expect(made).toMatchObject({ verdict: 'broken', proven: [], findings_total: 1 });
    const { stream: name, seq } = victim;
    expect(made.findings).toEqual([
      { kind: 'hidden', rows: [], stream: name, seq, message: expect.any(String) as string },
    ]);
    expect(made.finding).toContain(`BROKEN in the range, at record ${name} seq ${seq}: the record`);
  });
});

test('figures that leave a record out are named, and so is a row that is missing', async () => {
  const asked = askedOf(['denials-per-hour', { threshold: '1' }]);
  const whole = await certify(asked);
  expect(whole).toMatchObject({ verdict: 'intact', judged: { by: 'figures' } });
  expect(whole.proven.join(' ')).toContain('The figures are right, and no row is missing');
  await hide(
    `event_id = (SELECT min(event_id) FROM audit.records WHERE tenant_id = 'acme' AND outcome = 'denied' AND NOT duplicate)`,
  );
  const made = await certify(asked);
  expect(made.verdict).toBe('broken');
  expect(made.findings.map(({ kind }) => kind)).toEqual([
    expect.stringMatching(/^(hidden|figure_differs)$/),
  ]);
});

test('a silence that a hidden record makes is named with what the records give', async () => {
  const asked = askedOf(['silences', { minutes: '90' }]);
  expect(await certify(asked)).toMatchObject({ verdict: 'intact', judged: { by: 'figures' } });
  await hide(`occurred_at >= '2026-10-24' AND occurred_at < '2026-10-25'`);
  const made = await certify(asked);
  expect(made.verdict).toBe('broken');
  expect(made.finding).toMatch(/^BROKEN at row \d+: the verified records give no such row/);
});

test('gaps of producers: each row is one of the records that could be, and no more is claimed', async () => {
  const made = await certify(askedOf(['producer-gaps', {}]));
  expect(made).toMatchObject({ verdict: 'intact', judged: { by: 'candidates' } });
  expect(made.not_proven.join(' ')).toContain('Which of the records that could be rows are rows');
  expect(made.proven.join(' ')).not.toContain('complete');
});

test.each([
  ['first-time-access', { actor: 'u-1', days: '3' }],
  ['access-outside-tickets', { actor: 'u_admin_alice', actions: '*' }],
] as const)('%s: a row that is kept back without an excuse is named', async (...named) => {
  // From the middle of what happened, so that some of what excuses lies before the range.
  const asked = { ...askedOf(named), since: '2026-10-26T00:00:00.000Z' };
  const whole = await certify(asked);
  expect(whole).toMatchObject({ verdict: 'intact', judged: { by: 'excused' } });
  expect(whole.judged!.matching).toBeGreaterThan(whole.rows.count);
  expect(whole.proven.join(' ')).toContain('each is a row, or what keeps it out');
  expect(whole.not_proven.join(' ')).toContain('That what came before the range is as');
  const stream = await auditor.stream(asked);
  if (!stream.ok) throw new Error(stream.error.message);
  const rows = [];
  for await (const batch of stream.value.batches) rows.push(...batch);
  const { stream: name = '', seq = 0 } = rows[1]?.record ?? {};
  await hide('stream = $1 AND seq = $2', [name, seq]);
  const made = await certify(asked);
  expect(made.verdict).toBe('broken');
  expect(made.findings).toContainEqual(
    expect.objectContaining({ kind: 'hidden', rows: [], stream: name, seq }),
  );
});

test('an event marked as a repetition of none, unseen by who counts, is named', async () => {
  const asked = askedOf(['actor-activity', { actor: 'u-1' }]);
  expect((await certify(asked)).verdict).toBe('intact');
  await admin.query(`SET session_replication_role = replica`);
  await admin.query(`ALTER TABLE audit.records DISABLE TRIGGER USER`);
  const { rows } = await admin.query<{ stream: string; seq: string }>(
    `UPDATE audit.records r SET duplicate = true FROM audit.streams s
     WHERE s.stream_id = r.stream_id AND r.event_id = (SELECT max(event_id) FROM audit.records
       WHERE tenant_id = 'acme' AND actor_id = 'u-1' AND event_id NOT IN (
         SELECT event_id FROM audit.records WHERE duplicate))
     RETURNING s.stream, r.seq`,
  );
  // Whoever counts how often each event is shown is not shown this one.
  await admin.query(
    `INSERT INTO hidden SELECT r.stream_id, r.seq FROM audit.records r
    JOIN audit.streams s USING (stream_id) WHERE s.stream = $1 AND r.seq = $2`,
    [rows[0]?.stream, rows[0]?.seq],
  );
  await admin.query(`ALTER POLICY hiding ON audit.records USING (
    current_query() NOT LIKE '%miscounted%' OR NOT EXISTS (
      SELECT FROM hidden h WHERE h.stream_id = records.stream_id AND h.seq = records.seq))`);
  const made = await certify(asked);
  expect(made).toMatchObject({
    verdict: 'broken',
    findings: [{ kind: 'hidden', stream: rows[0]?.stream, seq: Number(rows[0]?.seq) }],
  });
});
