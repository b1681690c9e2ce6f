/** What somebody with full power over the store can hide from an answer: it is found, or said not to be proven. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSealer } from '../store/sealed.ts';
import { createAuditor } from '../../auditor/ask.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import {
  ACME,
  ASKED,
  fieldsOf,
  openEvidenceStore,
  readRows,
  STATEMENT,
  trustOf,
  ZETA,
} from './evidence-store.ts';
import type { EvidenceStore } from './evidence-store.ts';

let bench: EvidenceStore;
beforeAll(async () => void (bench = await openEvidenceStore()));
afterAll(() => bench[Symbol.asyncDispose]());

const OF_ACME = `stream_id = (SELECT stream_id FROM audit.streams WHERE stream = '${ACME}')`;

test('an answer from which rows were taken is not complete, and each is named', async () => {
  const made = await bench.ask({ rows: [] });
  expect(made).toMatchObject({ verdict: 'broken', rows: { count: 0 }, findings_total: 10 });
  expect(new Set(made.findings.map(({ kind }) => kind))).toEqual(new Set(['hidden']));
  expect(made.finding).toBe(
    `BROKEN in the range, at record ${ACME} seq 26: the record answers the question, and the database kept it out of the answer (and 9 more findings).`,
  );
});

test('a row that does not answer, and one that is shown twice, are named', async () => {
  const statement = {
    ...STATEMENT,
    sql: STATEMENT.sql.replace('actor_id = $2', `actor_id IN ($2, 'u-2')`),
  };
  const more = await bench.ask({}, statement);
  expect(more).toMatchObject({ verdict: 'broken', findings_total: 9 });
  expect(more.findings[0]).toMatchObject({ kind: 'row_differs', rows: [2], seq: 27 });
  const client = new pg.Client(bench.alice);
  await client.connect();
  const rows = await readRows(client, STATEMENT);
  await client.end();
  const twice = await bench.ask({ rows: [...rows, ...rows.slice(2, 3)] });
  expect(twice.findings).toMatchObject([{ kind: 'row_differs', rows: [3, 11], seq: 36 }]);
});

test('a row that is not what was sealed, of another tenant, or behind the end, is named', async () => {
  const client = new pg.Client(bench.alice);
  await client.connect();
  const rows = await readRows(client, STATEMENT);
  await client.end();
  const record = rows[2]!.record!;
  const told = async (over: Partial<typeof record>): Promise<readonly unknown[]> => {
    const changed = { values: rows[2]!.values, record: { ...record, ...over } };
    const made = await bench.ask({ rows: [...rows.slice(0, 2), changed, ...rows.slice(3)] });
    expect(made.verdict).toBe('broken');
    return made.findings.filter(({ rows: [row] }) => row === 3).map(({ message }) => message);
  };
  const event_bytes = record.event_bytes.replace('"name":"Ada"', '"name":"Eve"');
  expect(await told({ event_bytes })).toEqual([
    expect.stringContaining('does not have the hash that the record states'),
  ]);
  expect(await told({ event_id: 'another' })).toEqual(['the event has another event_id']);
  expect(await told({ stream: ZETA })).toContain(
    'the record is of a stream that the tenant does not have',
  );
  expect(await told({ seq: 5_000 })).toContain(
    'the answer shows another record than the one that stands here',
  );
});

test('a range that the database shows too small is seen by the neighbours that it gives', async () => {
  await bench.admin
    .query(`CREATE POLICY narrowing ON audit.records AS RESTRICTIVE FOR SELECT TO sealtrail_auditor
    USING (current_query() NOT LIKE '%is_late%' OR seq < 24 OR seq >= 40)`);
  await bench.admin
    .query(`CREATE POLICY blinding ON audit.records AS RESTRICTIVE FOR SELECT TO sealtrail_auditor
    USING (current_query() NOT LIKE '%GROUP BY stream_id%' OR seq >= 40)`);
  const rows = await (async () => {
    const client = new pg.Client(bench.alice);
    await client.connect();
    const found = await readRows(client, STATEMENT);
    await client.end();
    return found.filter(({ record }) => (record?.seq ?? 0) >= 40);
  })();
  const made = await bench.ask({ rows });
  await bench.admin.query('DROP POLICY narrowing ON audit.records');
  await bench.admin.query('DROP POLICY blinding ON audit.records');
  expect(made.streams).toMatchObject([{ from: 40, to: 72 }]);
  expect(made).toMatchObject({
    verdict: 'broken',
    findings: [{ kind: 'range_narrowed', seq: 39 }],
  });
  expect((await bench.ask()).verdict).toBe('intact');
});

test('an id that was used for an act of another time is no reason to cry wolf', async () => {
  const stream = ACME.replace('1111', '4444');
  const sealer = createSealer(stream, 'acme');
  const id = bench.records[1]?.event.event_id ?? '';
  await bench.put([sealer.seal({ ...fieldsOf(31), event_id: id, action: 'customer.read' })]);
  const made = await bench.ask({ trust: null });
  expect(made).toMatchObject({
    verdict: 'intact',
    judged: { by: 'rows', matching: 11, repeated: 1, masked: 1 },
  });
  expect(made.notes.join()).toContain('carries the id of another event');
  expect(made.proven.join()).toContain('complete, but for 1 event under the id of another act');
  expect(made.proven.join()).toContain('Of them 1 record repeats an event');
  await bench.tamper(
    `DELETE FROM audit.records USING audit.streams s WHERE s.stream = $1 AND records.stream_id = s.stream_id`,
    [stream],
  );
  await bench.tamper(`DELETE FROM audit.streams WHERE stream = $1`, [stream]);
});

test('an event marked as the repetition of a decoy in a stream that is none of the tenant’s is seen', async () => {
  expect((await bench.ask()).verdict).toBe('intact');
  await bench.tamper(`UPDATE audit.records SET duplicate = true WHERE ${OF_ACME} AND seq = 36`);
  const { rows } = await bench.admin.query<{ list: string }>(
    `SELECT string_agg(quote_ident(attname), ', ') AS list FROM pg_attribute WHERE attrelid = 'audit.records'::regclass
     AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname NOT IN ('stream_id', 'actor_id', 'duplicate')`,
  );
  const list = rows[0]?.list ?? '';
  await bench.tamper(`INSERT INTO audit.records (stream_id, actor_id, duplicate, ${list})
    SELECT (SELECT stream_id FROM audit.streams WHERE tenant_id = 'zeta'), 'u-9', false, ${list}
    FROM audit.records WHERE ${OF_ACME} AND seq = 36`);
  const made = await bench.ask();
  expect(made).toMatchObject({
    verdict: 'broken',
    findings: [
      { kind: 'inserted', seq: 36 },
      { kind: 'hidden', stream: ACME, seq: 36 },
    ],
  });
  await bench.tamper(`DELETE FROM audit.records WHERE actor_id = 'u-9' AND tenant_id = 'acme'`);
  await bench.tamper(`UPDATE audit.records SET duplicate = false WHERE ${OF_ACME} AND seq = 36`);
  expect((await bench.ask()).verdict).toBe('intact');
});

test('a stream of which the checkpoints were removed is named, also where others have theirs', async () => {
  const bare = ACME.replace('1111', '3333');
  const sealer = createSealer(bare, 'acme');
  await bench.put(Array.from({ length: 60 }, (_, n) => sealer.seal(fieldsOf(n))));
  const made = await bench.ask({ trust: null });
  expect(made.streams.map(({ checkpoint }) => checkpoint !== null).sort()).toEqual([false, true]);
  const [proven, not] = [made.proven.join(' '), made.not_proven.join(' ')];
  expect(not).toContain(`the whole history of ${bare} was not written anew`);
  expect(not).not.toContain(`history of ${ACME}`);
  expect(proven).toContain('The records of 1 of 2 streams have the tree of the checkpoints');
  expect((await bench.ask()).verdict).toBe('cannot_tell');
  await bench.tamper(
    `DELETE FROM audit.records USING audit.streams s WHERE s.stream = $1 AND records.stream_id = s.stream_id`,
    [bare],
  );
  await bench.tamper(`DELETE FROM audit.streams WHERE stream = $1`, [bare]);
});

test('an end that was cut off together with the checkpoints that tell of it is said not to be proven', async () => {
  const asked = { ...ASKED, until: '2026-04-01T00:00:00.000Z' };
  expect((await bench.ask()).not_proven.join(' ')).not.toContain('ends before seq');
  await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME} AND seq >= 100`);
  const statement = { ...STATEMENT, values: ['acme', 'u-1', asked.since, asked.until] };
  expect(await bench.ask({ asked }, statement)).toMatchObject({ verdict: 'broken' });
  await bench.tamper(`DELETE FROM audit.checkpoints WHERE size > 100`);
  const made = await bench.ask({ asked }, statement);
  expect(made.verdict).toBe('intact');
  expect(made.not_proven.join(' ')).toContain(`That ${ACME} ends before seq 100`);
});

test('answer and certificate are of one snapshot: what goes in between breaks neither, and is missed by the next', async () => {
  const auditor = createAuditor({ url: bench.alice });
  const options = {
    ...{ url: bench.alice, known: null, trust: trustOf(bench.signer), verifier: 'test' },
  };
  let isTampered = false;
  const slow = {
    ...auditor,
    stream: async (...asked: Parameters<typeof auditor.stream>) => {
      const answer = await auditor.stream(...asked);
      if (!answer.ok) return answer;
      const { batches } = answer.value;
      return {
        ok: true as const,
        value: {
          ...answer.value,
          batches: (async function* () {
            yield* batches;
            await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME} AND seq = 36`);
            isTampered = true;
          })(),
        },
      };
    },
  };
  const certified = await certifyAnswer(slow, ASKED, options);
  expect(isTampered).toBe(true);
  expect(certified).toMatchObject({
    ok: true,
    value: { verdict: 'intact', rows: { count: 10 }, records: 50 },
  });
  expect(await certifyAnswer(auditor, ASKED, options)).toMatchObject({
    ok: true,
    value: { verdict: 'broken' },
  });
  auditor.close();
});
