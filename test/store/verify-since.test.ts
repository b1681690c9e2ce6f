/** `verify --store --since`: the time picks what is read whole, and hides nothing that was done to the store, whatever its columns say. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readKnown } from '../../agent/checkpoint/known.ts';
import type { Verification } from '../../ledger/examination.ts';
import type { Known } from '../../ledger/verify/known.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { checkpointOf, trustOf } from '../auditor/evidence-store.ts';
import { PURGE_SIGNER } from '../support/purging.ts';
import { openVerifyBench, type VerifyBench } from './verify-bench.ts';
import { createSealer } from './sealed.ts';

const at = (hour: number): string => new Date(Date.UTC(2025, 0, 1, hour)).toISOString();
const SINCE = { since: at(12), until: null };
const [mine, other] = ['1', '2'].map((n) =>
  createSealer(`sealtrail/test/${n.repeat(32)}/${n.repeat(16)}/standard`, 'timed'),
);
const sealed = [mine!, other!].map((sealer) =>
  Array.from({ length: 24 }, (_, hour) => sealer.seal({ receivedAt: at(hour), time: at(hour) })),
);

let bench: VerifyBench;
let known: Known;
beforeAll(async () => {
  bench = await openVerifyBench();
  await bench.admin.query('DELETE FROM audit.records; DELETE FROM audit.streams');
  await bench.store.close();
  const notes = await Promise.all(
    sealed.map((records) => checkpointOf(records, records.length, PURGE_SIGNER)),
  );
  const files = notes.map(({ note, stream }) => ({ name: stream, text: note }));
  const trust = trustOf(PURGE_SIGNER);
  known = await readKnown({ dir: null, files, receipts: [], trust, policy: null });
  expect(await bench.store.appendRecords(sealed.flat())).toMatchObject({ ok: true });
  for (const table of ['records', 'streams'])
    await bench.admin.query(`CREATE TABLE mine_${table} AS SELECT * FROM audit.${table}`);
  await bench.admin.query('ALTER TABLE mine_records DROP COLUMN payload');
});
afterAll(() => bench[Symbol.asyncDispose]());

beforeEach(async () => {
  expect(await verify()).toMatchObject({ verdict: 'intact', findings: [] });
});
afterEach(async () => {
  const { rows } = await bench.admin.query<{ list: string }>(
    `SELECT string_agg(quote_ident(attname), ', ') AS list FROM pg_attribute
     WHERE attrelid = 'mine_records'::regclass AND attnum > 0 AND NOT attisdropped`,
  );
  const list = rows[0]?.list ?? '';
  await bench.admin.query(`
    DELETE FROM audit.records; DELETE FROM audit.streams;
    INSERT INTO audit.streams OVERRIDING SYSTEM VALUE SELECT * FROM mine_streams;
    INSERT INTO audit.records (${list}) SELECT ${list} FROM mine_records`);
});

/** Row by row and by ranges, which MUST say the same. */
async function verify(): Promise<Verification> {
  const options = { url: bench.server.url('auditor'), range: SINCE, known };
  const byRow = await verifyStore(options);
  expect(await verifyStore({ ...options, connections: 2, rangeRecords: 5 })).toEqual(byRow);
  return byRow;
}

const tamper = async (sql: string): Promise<void> => {
  const of = `stream_id = (SELECT stream_id FROM audit.streams WHERE stream = '${mine!.stream}')`;
  expect((await bench.admin.query(sql.replace('$OF', of))).rowCount).toBeGreaterThan(0);
};
const EDIT = `event_bytes = replace(event_bytes, '"Ada"', '"Eve"')`;

test('the end of a stream cut off, all that was received in that time, is missed by the checkpoint', async () => {
  await tamper('DELETE FROM audit.records WHERE $OF AND seq >= 12');
  expect(await verify()).toMatchObject({
    verdict: 'broken',
    findings: [{ kind: 'truncated', stream: mine!.stream, seq: 12 }],
  });
});

test('a stream removed whole, with its name, is missed as well', async () => {
  await tamper('DELETE FROM audit.records WHERE $OF');
  await tamper('DELETE FROM audit.streams WHERE $OF');
  expect(await verify()).toMatchObject({
    verdict: 'broken',
    findings: [{ kind: 'truncated', stream: mine!.stream, seq: 0 }],
  });
});

test.each([
  ['the last of them', 'seq = 23', 23],
  ['the first of them', 'seq = 12', 12],
  ['all of the stream', 'true', 23],
])('a record that was changed, %s filed under an earlier time, is found', async (_, filed, seq) => {
  await tamper(`UPDATE audit.records SET ${EDIT} WHERE $OF AND seq = ${seq}`);
  expect(await verify()).toMatchObject({ verdict: 'broken', findings: [{ kind: 'modified' }] });
  await tamper(`UPDATE audit.records SET received_at = '2024-01-01' WHERE $OF AND ${filed}`);
  const made = await verify();
  expect(made.verdict).toBe('broken');
  expect(made.findings).toContainEqual(expect.objectContaining({ kind: 'modified', seq }));
});

test('nor does a time that is filed as a later one end what is read', async () => {
  const range = { since: at(6), until: at(12) };
  const ask = (): Promise<Verification> =>
    verifyStore({ url: bench.server.url('auditor'), range, known });
  expect(await ask()).toMatchObject({ verdict: 'intact', findings: [] });
  await tamper(
    `UPDATE audit.records SET ${EDIT}, received_at = '2026-01-01' WHERE $OF AND seq = 11`,
  );
  expect((await ask()).findings).toContainEqual(
    expect.objectContaining({ kind: 'modified', seq: 11 }),
  );
});
