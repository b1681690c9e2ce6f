/** The column `payload`, which the server computes and queries read: whoever owns the database and has it say something else is found. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Verification } from '../../ledger/examination.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { findEditedPayloads } from '../../store/verify-payload.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { KINDS, startKind, type KindServer } from '../support/store-kinds.ts';
import { createSealer } from './sealed.ts';

const hour = (n: number): string => new Date(Date.UTC(2026, 2, 1, n)).toISOString();
const sealer = createSealer();
const records = [
  { note: 'größer "\n' },
  // What jsonb cannot hold, and what only looks so.
  { note: 'a\u0000b' },
  { note: String.raw`\u0000 \\u0000` },
  { rows: 12_345_678_901, deep: [{ list: [1, null, true] }] },
].map((metadata, n) => sealer.seal({ metadata, time: hour(n), receivedAt: hour(n) }));
const { stream } = sealer;

describe.each(KINDS)('%s', (kind) => {
  let server: KindServer;
  let admin: pg.Client;
  beforeAll(async () => {
    server = await startKind(kind);
    const [url, ownerUrl] = ['writer', 'owner'].map((name) => server.url(`sealtrail_${name}`));
    const store = createPostgresStore({ url: url!, ownerUrl: ownerUrl! });
    expect(await store.migrate()).toMatchObject({ ok: true });
    expect(await store.appendRecords(records)).toMatchObject({ ok: true });
    await store.close();
    admin = new pg.Client(server.url('admin'));
    await admin.connect();
    await admin.query(`SET session_replication_role = replica;
      ALTER TABLE audit.records DISABLE TRIGGER USER`);
  });
  afterAll(async () => {
    await admin.end();
    await server.stop();
  });

  const verify = (more: object = {}): Promise<Verification> =>
    verifyStore({ url: server.url('sealtrail_owner'), ...more });
  const edited = (...seqs: readonly number[]): object => ({
    verdict: 'broken',
    findings: seqs.map((seq) => ({ kind: 'column_differs', column: 'payload', stream, seq })),
  });
  const INTACT = { verdict: 'intact', findings: [] };
  const FORGED = `jsonb_set(audit.records.payload, '{actor,id}', '"u-9"')`;

  test('untouched it says what the event says, also where jsonb cannot hold it', async () => {
    expect(await verify()).toMatchObject(INTACT);
    const { rows } = await admin.query(
      'SELECT seq::int FROM audit.records WHERE payload IS NULL ORDER BY seq',
    );
    expect(rows).toEqual([{ seq: 1 }]);
  });

  test('where it is computed when it is read no record is compared, where it is stored each is', async () => {
    await admin.query('BEGIN');
    const query = vi.spyOn(admin, 'query');
    expect(await findEditedPayloads(admin, { stream: undefined, range: undefined })).toEqual([]);
    expect(query).toHaveBeenCalledTimes(kind === 'embedded' ? 1 : 3);
    query.mockRestore();
    await admin.query('ROLLBACK');
  });

  test('a column that is computed no more, and then edited, is named record by record', async () => {
    await admin.query(
      kind === 'embedded'
        ? `ALTER TABLE audit.records RENAME COLUMN payload TO genuine;
           ALTER TABLE audit.records ADD COLUMN payload jsonb;
           UPDATE audit.records SET payload = genuine`
        : 'ALTER TABLE audit.records ALTER COLUMN payload DROP EXPRESSION',
    );
    expect(await verify(), 'what it says is right').toMatchObject(INTACT);
    await admin.query(`UPDATE audit.records SET payload = ${FORGED} WHERE seq IN (0, 3)`);
    await admin.query(`UPDATE audit.records SET payload = NULL WHERE seq = 2`);
    await admin.query(`UPDATE audit.records SET payload = '{}' WHERE seq = 1`);
    expect(await verify()).toMatchObject(edited(0, 1, 2, 3));
    expect(await verify({ connections: 2, rangeRecords: 2 })).toMatchObject(edited(0, 1, 2, 3));
    expect(await verify({ stream })).toMatchObject(edited(0, 1, 2, 3));
    const range = { since: hour(2), until: null };
    expect(await verify({ range })).toMatchObject(edited(2, 3));
  });

  test('an event that is no JSON hides none, whether it is read or filed under a time at which it is not', async () => {
    const range = { since: hour(3), until: null };
    expect(await verify({ range })).toMatchObject(edited(3));
    await admin.query(`UPDATE audit.records SET event_bytes = '{' || event_bytes WHERE seq = 0`);
    const made = await verify();
    expect(made.findings).toContainEqual(expect.objectContaining({ kind: 'malformed', seq: 0 }));
    await admin.query(`UPDATE audit.records SET received_at = '${hour(3)}' WHERE seq = 0`);
    expect(await verify({ range })).toMatchObject({
      verdict: 'cannot_tell',
      notes: expect.arrayContaining([expect.stringContaining('column payload')]) as string[],
    });
  });
});
