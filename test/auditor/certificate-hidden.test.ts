/** What somebody with full power over the store can hide from an answer: it is found, or said not to be proven. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSealer } from '../store/sealed.ts';
import { createAuditor } from '../../auditor/ask.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import { ACME, ASKED, fieldsOf, openEvidenceStore, STATEMENT, trustOf } from './evidence-store.ts';
import type { EvidenceStore } from './evidence-store.ts';

let bench: EvidenceStore;
beforeAll(async () => void (bench = await openEvidenceStore()));
afterAll(() => bench[Symbol.asyncDispose]());

const OF_ACME = `stream_id = (SELECT stream_id FROM audit.streams WHERE stream = '${ACME}')`;

test('an answer without a row does not claim that the database gave every row', async () => {
  const statement = { ...STATEMENT, values: ['acme', 'nobody', ASKED.since, ASKED.until] };
  for (const made of [await bench.ask({ rows: [] }), await bench.ask({}, statement)]) {
    expect(made).toMatchObject({ verdict: 'intact', rows: { count: 0 }, records: 50 });
    expect(made.not_proven.join(' ')).toContain('has every row that the statement finds');
  }
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
  expect(made).toMatchObject({ verdict: 'broken', findings: [{ kind: 'inserted', seq: 36 }] });
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
