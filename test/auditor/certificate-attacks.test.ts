/** Ways to a green certificate for somebody with full power over the store, and without the agent's key: each is closed. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Asked } from '../../auditor/answer.ts';
import type { Auditor } from '../../auditor/ask.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { createSealer } from '../store/sealed.ts';
import { ACME, fieldsOf, trustOf, type EvidenceStore } from './evidence-store.ts';
import { ID_OF_ACME, OF_ACME, openTamperedStore, type TamperedStore } from './tampered-store.ts';

let store: TamperedStore;
let bench: EvidenceStore;
let auditor: Auditor;
const WHOLE = { since: '2026-03-01T00:00:00.000Z', until: '2026-03-06T00:00:00.000Z' };

beforeAll(async () => {
  store = await openTamperedStore();
  ({ bench, auditor } = store);
});
afterAll(() => store[Symbol.asyncDispose]());
afterEach(() => store.restore());

const certify = (asked: Partial<Asked>): Promise<Certificate> => store.certify(asked);
const certifyWithoutKeys = (asked: Partial<Asked> = {}): Promise<Certificate> =>
  store.certify(asked, null);

const QUESTIONS: readonly Partial<Asked>[] = [
  { question: 'actor-activity', parameters: { actor: 'u-1' } },
  { question: 'first-time-access', parameters: { actor: 'u-1' } },
  { question: 'access-outside-tickets', parameters: { actor: 'u-1', actions: '*' } },
  { question: 'silences', parameters: { minutes: '60' } },
];

describe.each(QUESTIONS)('$question', (asked) => {
  test.each([
    ['behind the end of its stream', ID_OF_ACME, 5_000],
    ['in a stream that nobody knows', '4711', 0],
    ['in a place that another record has', ID_OF_ACME, 110],
  ])(
    'a record called the repetition of one that was made up %s is named',
    async (_, streamId, seq) => {
      expect((await certify(asked)).verdict).toBe('intact');
      await bench.tamper(`UPDATE audit.records SET duplicate = true WHERE ${OF_ACME} AND seq = 36`);
      const { event } = bench.records[36]!;
      const forger = createSealer(ACME, 'acme', {
        ...bench.records[36]!,
        event: { ...event, chain: { ...event.chain, seq: seq - 1 } },
      });
      const time = '2026-05-01T00:00:00.000Z';
      const decoy = { ...fieldsOf(36), event_id: event.event_id, time, actor: 'u-9' };
      await store.plant(forger.seal(decoy), streamId);
      const made = await certify(asked);
      expect(made).toMatchObject({ verdict: 'broken', proven: [] });
      if (streamId === '4711')
        expect(made.findings).toContainEqual(
          expect.objectContaining({
            stream: ACME,
            seq: 36,
            message: expect.stringMatching(/repetition/) as string,
          }),
        );
    },
  );

  test('nor does one that was put at the end of its stream, where nothing is signed, pass for another act', async () => {
    await bench.tamper(`UPDATE audit.records SET duplicate = true WHERE ${OF_ACME} AND seq = 36`);
    const time = '2026-05-01T00:00:00.000Z';
    const { event_id } = bench.records[36]!.event;
    const decoy = { ...fieldsOf(36), event_id, time, receivedAt: time, actor: 'u-9' };
    const end = createSealer(ACME, 'acme', bench.records[119]).seal(decoy);
    await store.plant(end);
    const made = await certify(asked);
    expect(made).toMatchObject({ verdict: 'cannot_tell', proven: [] });
    expect(made.finding).toContain(`record 36 of ${ACME} is in no answer`);
  });
});

test('a record called the repetition of one that tells the same, whose time column was edited away, is named', async () => {
  const sealer = createSealer(ACME.replace('1111', '3331'), 'acme');
  const again = sealer.seal({ ...fieldsOf(36), event_id: bench.records[36]!.event.event_id });
  await bench.put([again]);
  expect((await certifyWithoutKeys()).verdict).toBe('intact');
  await bench.tamper(
    `UPDATE audit.records SET occurred_at = '2026-05-01' WHERE ${OF_ACME} AND seq = 36`,
  );
  expect((await certifyWithoutKeys()).verdict).toBe('broken');
});

test('nor is one excused by one that tells the same and is read for its hash alone, since its time column was edited away', async () => {
  const late = createSealer(ACME.replace('1111', '3337'), 'acme');
  const early = [fieldsOf(100), fieldsOf(101)].map((fields) => late.seal(fields));
  const act = { ...fieldsOf(36), resourceId: 'c-x' };
  const original = late.seal({ ...act, receivedAt: '2026-03-05T12:00:00.000Z' });
  const { event_id } = original.event;
  const again = createSealer(ACME.replace('1111', '3338'), 'acme').seal({ ...act, event_id });
  await bench.put([...early, original]);
  await bench.put([again]);
  expect(await certifyWithoutKeys()).toMatchObject({ verdict: 'intact', rows: { count: 11 } });
  await bench.tamper(
    `UPDATE audit.records SET occurred_at = '2026-05-01' WHERE event_id = $1 AND NOT duplicate`,
    [event_id],
  );
  const made = await certifyWithoutKeys();
  expect(made).toMatchObject({ verdict: 'broken', rows: { count: 10 } });
  expect(made.findings).toMatchObject([
    { kind: 'hidden', stream: again.event.chain.stream, seq: 0 },
  ]);
});

test('nor by one that claims the place of another record, and is shown to whoever looks for it alone', async () => {
  const { event } = bench.records[36]!;
  const before = {
    ...bench.records[36]!,
    event: { ...event, chain: { ...event.chain, seq: 109 } },
  };
  const time = '2026-05-01T00:00:00.000Z';
  const other = { ...fieldsOf(36), event_id: event.event_id, time, actor: 'u-9' };
  const decoy = createSealer(ACME, 'acme', before).seal(other);
  await bench.tamper(`UPDATE audit.records SET duplicate = true WHERE ${OF_ACME} AND seq = 36`);
  await store.plant(decoy);
  await store.hide(`occurred_at < '2026-05-01' OR current_query() LIKE '%r.event_id = ANY%'
    OR current_query() LIKE '%miscounted%'`);
  const made = await certify({});
  expect(made).toMatchObject({ verdict: 'broken', rows: { count: 9 } });
  expect(made.findings).toMatchObject([{ kind: 'hidden', stream: ACME, seq: 36 }]);
});

test('the end of an assignment that is called the repetition of one that was made up is named', async () => {
  const asked = {
    ...WHOLE,
    question: 'access-outside-tickets',
    parameters: { actor: 'u-1', actions: '*' },
  };
  const sealer = createSealer(ACME.replace('1111', '3332'), 'acme');
  const ticket = {
    actor: 'u-9',
    resourceType: 'ticket',
    resourceId: 'T-1',
    receivedAt: '2026-03-02T00:00:00.000Z',
  };
  const records = [
    sealer.seal({
      ...ticket,
      action: 'ticket.assign',
      time: '2026-03-02T00:00:00.000Z',
      metadata: { assignee: 'u-1', customer: 'c-36' },
    }),
    sealer.seal({ ...ticket, action: 'ticket.close', time: '2026-03-02T01:00:00.000Z' }),
  ];
  await bench.put(records);
  const ask = (): Promise<Certificate> => certifyWithoutKeys(asked);
  const before = await ask();
  expect(before.verdict).toBe('intact');
  const { event } = records[1]!;
  await bench.tamper('UPDATE audit.records SET duplicate = true WHERE event_id = $1', [
    event.event_id,
  ]);
  const forger = createSealer('sealtrail/test/elsewhere', 'acme');
  await store.plant(
    forger.seal({ event_id: event.event_id, time: '2027-05-01T00:00:00.000Z' }),
    '4711',
  );
  const made = await ask();
  // It would have covered what was done after the ticket was closed.
  expect(made.rows.count).toBe(before.rows.count - 1);
  expect(made).toMatchObject({
    verdict: 'broken',
    findings: [{ kind: 'hidden', stream: sealer.stream, seq: 1 }],
  });
});

test('an event that the database shows twice is not counted twice', async () => {
  const stream = ACME.replace('1111', '3333');
  const sealer = createSealer(stream, 'acme');
  const denied = Array.from({ length: 3 }, (_, n) =>
    sealer.seal({ ...fieldsOf(30), outcome: 'denied' as const, resourceId: `c-${n}` }),
  );
  const other = createSealer(ACME.replace('1111', '3334'), 'acme');
  const again = denied.map(({ event }) =>
    other.seal({
      ...fieldsOf(30),
      outcome: 'denied' as const,
      resourceId: event.resource.id,
      event_id: event.event_id,
    }),
  );
  await bench.put([...denied, ...again]);
  const asked = { question: 'denials-per-hour', parameters: { threshold: '3' } };
  const ask = (): Promise<Certificate> => certifyWithoutKeys(asked);
  expect(await ask()).toMatchObject({ verdict: 'intact', judged: { by: 'figures', repeated: 3 } });
  await bench.tamper(`UPDATE audit.records SET duplicate = false WHERE duplicate`);
  await store.hide(`current_query() NOT LIKE '%miscounted%' OR outcome <> 'denied'`);
  const made = await ask();
  expect(made.verdict).toBe('broken');
  expect(made.findings).toContainEqual(
    expect.objectContaining({ kind: 'figure_differs', rows: [1] }),
  );
});

test('two rows of one event are named, whatever the database says of its marks', async () => {
  const { event } = bench.records[36]!;
  const sealer = createSealer(ACME.replace('1111', '3335'), 'acme');
  await bench.put([sealer.seal({ ...fieldsOf(36), event_id: event.event_id })]);
  expect((await certifyWithoutKeys()).verdict).toBe('intact');
  await bench.tamper(`UPDATE audit.records SET duplicate = false WHERE duplicate`);
  await store.hide(`current_query() NOT LIKE '%miscounted%'`);
  const made = await certifyWithoutKeys();
  expect(made).toMatchObject({ verdict: 'broken', findings_total: 1 });
  expect(made.findings[0]).toMatchObject({
    kind: 'row_differs',
    message: 'the answer shows the event more than once',
  });
});

test('an act under the id of another one of the same time is told, and which record it is', async () => {
  const sealer = createSealer(ACME.replace('1111', '3336'), 'acme');
  const id = bench.records[36]!.event.event_id;
  await bench.put([sealer.seal({ ...fieldsOf(36), resourceId: 'c-secret', event_id: id })]);
  const made = await certifyWithoutKeys();
  expect(made).toMatchObject({ verdict: 'intact', judged: { repeated: 1, masked: 1 } });
  expect(made.finding).toContain('but the answer lacks 1 record that answers the question');
  expect(made.notes.join()).toContain(
    `${sealer.stream} seq 0 answers the question, or has a say in it, and is in no answer`,
  );
});

test.each([
  ['begins', '%min(r.seq)%', 'seq >= 40', 39],
  ['ends', '%min(r.seq)%', 'seq < 40', 40],
])(
  'a range that is narrow since the database says that the stream %s there is seen',
  async (_, query, shown, seq) => {
    const asked = { question: 'actor-activity', parameters: { actor: 'u-1' } };
    expect((await certify(asked)).verdict).toBe('intact');
    await store.hide(`${shown} OR (current_query() NOT LIKE '${query}' AND current_query() NOT LIKE '%is_late%'
    AND current_query() NOT LIKE '%GROUP BY stream_id%' AND current_query() NOT LIKE '%min(seq)%'
    AND current_setting('application_name') <> 'sealtrail auditor')`);
    const made = await certify(asked);
    expect(made.verdict).toBe('broken');
    expect(made.findings).toContainEqual(expect.objectContaining({ kind: 'range_narrowed', seq }));
  },
);

test('a history sealed again behind an old checkpoint, the newer ones removed, is not called intact', async () => {
  const asked = { ...WHOLE, question: 'all-activity', parameters: {} };
  expect((await certify(asked)).verdict).toBe('intact');
  let forger = createSealer(ACME, 'acme', bench.records[59]);
  await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME} AND seq >= 60`);
  await bench.tamper(`DELETE FROM audit.checkpoints WHERE size > 60`);
  forger = createSealer(ACME, 'acme', bench.records[59]);
  for (let n = 60; n < 120; n += 1)
    await store.plant(forger.seal({ ...fieldsOf(n), metadata: { amount: -n } }));
  const made = await certify(asked);
  expect(made.verdict).toBe('cannot_tell');
  expect(made.finding).toContain(`from seq 60 of ${ACME} on, are under no checkpoint`);
  // What was sealed a moment ago is under none yet, and no reason to doubt.
  await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME} AND seq > 60`);
  expect((await certify(asked)).verdict).toBe('intact');
});

test('what the database computes of a record, and says otherwise, is named', async () => {
  const asked = { question: 'off-hours', parameters: { days: 'sun' } };
  expect((await certify(asked)).verdict).toBe('intact');
  const lying: Auditor = {
    ...auditor,
    stream: async (...given) => {
      const answer = await auditor.stream(...given);
      if (!answer.ok) return answer;
      const { batches } = answer.value;
      const lies = (async function* () {
        for await (const batch of batches)
          yield batch.map((row, at) =>
            at === 1
              ? { ...row, values: ['2026-03-02 12:00:00 Mon', ...row.values.slice(1)] }
              : row,
          );
      })();
      return { ok: true, value: { ...answer.value, batches: lies } };
    },
  };
  const made = await store.certify(asked, trustOf(bench.signer), lying);
  expect(made).toMatchObject({
    verdict: 'broken',
    findings: [{ rows: [2], message: expect.stringContaining('By the clock there') as string }],
  });
});
