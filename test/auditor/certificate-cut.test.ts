/**
 * More ways to a green certificate without the agent's key: an end that is cut off behind the range, records that nobody has
 * signed, names under a checkpoint that nobody has looked at, and more rows than can be held against the records.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Asked } from '../../auditor/answer.ts';
import type { Auditor } from '../../auditor/ask.ts';
import { createAnswerCheck } from '../../auditor/certificate/answer-check.ts';
import type { Originals } from '../../auditor/certificate/repetitions.ts';
import { gatherRows } from '../../auditor/certificate/rows.ts';
import { createSealer } from '../store/sealed.ts';
import { ACME, ASKED, fieldsOf, type EvidenceStore } from './evidence-store.ts';
import { OF_ACME, openTamperedStore, type TamperedStore } from './tampered-store.ts';

let store: TamperedStore;
let bench: EvidenceStore;
beforeAll(async () => {
  store = await openTamperedStore();
  bench = store.bench;
});
afterAll(() => store[Symbol.asyncDispose]());
afterEach(() => store.restore());

test('an untouched store is certified, and by whose key', async () => {
  const made = await store.certify();
  expect(made).toMatchObject({ verdict: 'intact', findings_total: 0 });
  expect(made.streams).toMatchObject([
    { is_trusted: true, keys: [`${bench.signer.name}+${bench.signer.id}`] },
  ]);
  const [one] = (await store.certify({ until: '2026-03-02T05:00:00.000Z' })).finding.split(' and ');
  expect(one).toBe('Intact: the one row');
});

test('an end that was cut off behind the range is missed by the checkpoint that covers both', async () => {
  await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME} AND seq >= 74`);
  const made = await store.certify();
  expect(made).toMatchObject({ verdict: 'broken', findings: [{ kind: 'truncated', seq: 74 }] });
});

test('a history sealed again from the last checkpoint before it up to behind the range, and cut off there, is not called intact', async () => {
  await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME} AND seq >= 60`);
  const forger = createSealer(ACME, 'acme', bench.records[59]);
  for (let n = 60; n < 73; n += 1)
    await store.plant(forger.seal({ ...fieldsOf(n), metadata: { amount: -n } }));
  const made = await store.certify();
  expect(made).toMatchObject({ verdict: 'broken', proven: [] });
  expect(made.findings).toContainEqual(expect.objectContaining({ kind: 'truncated', seq: 73 }));
});

test.each([
  ['an act', {}],
  ['an act that was received then as well', { receivedAt: fieldsOf(36).receivedAt }],
])(
  '%s of earlier that was made up at the end of a stream is not called intact',
  async (_, over) => {
    const forger = createSealer(ACME, 'acme', bench.records[119]);
    const now = '2026-03-05T23:30:00.000Z';
    // What happened a moment ago is under no checkpoint yet, and no reason to doubt.
    await store.plant(forger.seal({ ...fieldsOf(121), receivedAt: now, time: now }));
    const asked = { until: '2026-03-06T00:00:00.000Z' };
    expect(await store.certify(asked)).toMatchObject({ verdict: 'intact', rows: { count: 20 } });
    await store.plant(forger.seal({ ...fieldsOf(36), receivedAt: now, ...over }));
    const made = await store.certify();
    expect(made).toMatchObject({ verdict: 'cannot_tell', proven: [], rows: { count: 11 } });
    expect(made.finding).toContain(`from seq 120 of ${ACME} on, are under no checkpoint`);
    // It has no say in what others did.
    const others = await store.certify({ parameters: { actor: 'u-2' } });
    expect(others.verdict).toBe('receivedAt' in over ? 'cannot_tell' : 'intact');
  },
);

test('a name that somebody put under a checkpoint is no key that has signed it', async () => {
  await bench.tamper('UPDATE audit.checkpoints SET note = note || $1', [
    '\u2014 notary/supreme-court 3q2+7wAAAAAA\n',
  ]);
  const made = await store.certify();
  expect(made.verdict).toBe('intact');
  expect(JSON.stringify([made.proven, made.streams[0]?.keys])).not.toContain('supreme-court');
  expect((await store.certify({}, null)).streams[0]?.keys).toEqual([]);
});

test.each([
  ['half a character', '"c-36"', String.raw`"c-\ud800"`],
  ['a number without an end', '"u-1"', '1e999'],
])('%s in a forged event is a finding, and no reason to fail', async (_, one, other) => {
  await bench.tamper(
    `UPDATE audit.records SET event_bytes = replace(event_bytes, $1, $2) WHERE ${OF_ACME} AND seq = 36`,
    [one, other],
  );
  const made = await store.certify();
  expect(made).toMatchObject({ verdict: 'broken', findings: [{ rows: [3], seq: 36 }, {}] });
});

/** Asks as the auditor does, and is given more rows than there are. */
function padding(rows: number): Auditor {
  return {
    ...store.auditor,
    stream: async (...given) => {
      const answer = await store.auditor.stream(...given);
      if (!answer.ok) return answer;
      const { batches } = answer.value;
      const padded = (async function* () {
        yield* batches;
        const values = ['2026-03-02T00:00:00.000Z', '2026-03-02T09:00:00.000Z', 540];
        for (let left = rows; left > 0; left -= 1_000)
          yield Array.from({ length: 1_000 }, () => ({ values, record: null }));
      })();
      return { ok: true, value: { ...answer.value, batches: padded } };
    },
  };
}

test('more rows than are kept, so that figures cannot be compared, is a question that cannot be told', async () => {
  const asked: Partial<Asked> = { question: 'silences', parameters: { minutes: '90' } };
  const whole = await store.certify(asked);
  expect(whole).toMatchObject({ verdict: 'intact', judged: { by: 'figures' } });
  const made = await store.certify(asked, undefined, padding(201_000));
  expect(made).toMatchObject({ verdict: 'cannot_tell', proven: [] });
});

test('more repetitions than are kept, as the database says, is a question that cannot be told', async () => {
  const nothing = gatherRows(ASKED).conclude();
  const beyond = { isThere: () => Promise.resolve(false), ticketEvents: () => Promise.resolve([]) };
  const conclude = async (originals: Originals): Promise<boolean> =>
    (await createAnswerCheck(ASKED, originals).conclude(nothing, beyond)).isTooMuch;
  expect(await conclude(new Map())).toBe(false);
  expect(await conclude(null)).toBe(true);
});
