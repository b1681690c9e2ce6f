/** Records that tell of a time in which nothing was received, as an import does: their answer is certified and checked whole. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { spanOf } from '../../auditor/certificate/range.ts';
import {
  ASKED,
  fieldsOf,
  openEvidenceStore,
  STATEMENT,
  type EvidenceStore,
} from './evidence-store.ts';

let bench: EvidenceStore;
beforeAll(async () => {
  bench = await openEvidenceStore();
});
afterAll(() => bench[Symbol.asyncDispose]());

test('the range reaches to the place where records of that time would have been received', async () => {
  const late = {
    actor: 'u-1',
    time: '2025-12-05T00:00:00.000Z',
    receivedAt: '2026-03-20T00:00:00.000Z',
  };
  const record = bench.acme.seal({ ...fieldsOf(1), ...late });
  await bench.put([record]);
  bench.records.push(record);
  const [since, until] = ['2025-12-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'];
  const statement = { ...STATEMENT, values: ['acme', 'u-1', since, until] };
  const asked = { ...ASKED, since, until };
  // Whoever has the store could have put it there; in a minute it is signed.
  expect((await bench.ask({ asked, statement }, statement)).verdict).toBe('cannot_tell');
  await bench.sign(121);
  const certificate = await bench.ask({ asked, statement }, statement);
  expect(certificate).toMatchObject({ verdict: 'intact', rows: { count: 1 } });
  // Nothing stands before the first record: without it nobody could tell that nothing was received then.
  expect(certificate.streams).toMatchObject([{ from: 0, to: 121, before: null }]);
});

test('a place without records counts, on either side of those that are shown', () => {
  const shown = [{ from: 3, to: 5 }];
  expect(spanOf({ from: 0, to: 0 }, shown)).toEqual({ from: 0, to: 5 });
  expect(spanOf({ from: 9, to: 9 }, shown)).toEqual({ from: 3, to: 9 });
  expect(spanOf({ from: 2, to: 6 }, shown)).toEqual({ from: 2, to: 6 });
  expect(spanOf({ from: 4, to: 4 }, [])).toEqual({ from: 4, to: 4 });
});
