/**
 * The attack table over the store of record, by a superuser of PostgreSQL who has the source code and switches the
 * triggers off: each attack is seen with the checkpoints of the agent, which he does not have.
 */
import { rm } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Verification } from '../../ledger/examination.ts';
import { splitRecord } from '../../ledger/frame.ts';
import type { Known } from '../../ledger/verify/known.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { Store, StoredRecord } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import {
  knownOf,
  linesOf,
  receiptFile,
  RECORDS,
  resealed,
  writeTrail,
  type Trail,
} from './trail.ts';

let server: TestPostgres;
let store: Store;
let superuser: pg.Client;
let trail: Trail;
let dir = '';
let lines: readonly string[] = [];
let known: Known;

const storedOf = (line: string): StoredRecord => {
  const record = splitRecord(line);
  if (record === null) throw new Error('no record');
  return { ...record, event: JSON.parse(record.eventText) as SealedEvent };
};

beforeAll(async () => {
  dir = (await makeMemoryDir()).path;
  trail = await writeTrail(dir);
  lines = await linesOf(dir);
  known = await knownOf(dir);
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  await store.migrate();
  superuser = new pg.Client(server.url('admin'));
  await superuser.connect();
  await restore();
});

afterAll(async () => {
  await superuser.end();
  await store.close();
  await server.stop();
  await rm(dir, { recursive: true });
});

beforeEach(async () => {
  const verification = await verify();
  expect(verification).toMatchObject({ verdict: 'intact', records: RECORDS + 1, findings: [] });
  expect(verification.streams[0]?.cover).toMatchObject({ signed_to: String(RECORDS + 1) });
});

afterEach(restore);

async function restore(): Promise<void> {
  // Who may do this may switch off what forbids it.
  for (const table of ['records', 'record_keys', 'streams'])
    await superuser.query(`ALTER TABLE audit.${table} DISABLE TRIGGER ALL`);
  await superuser.query(
    'DELETE FROM audit.records; DELETE FROM audit.record_keys; DELETE FROM audit.streams',
  );
  await store.close();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  expect(await store.appendRecords(lines.map(storedOf))).toMatchObject({ ok: true });
}

async function verify(against: Known = known): Promise<Verification> {
  return verifyStore({ url: server.url('auditor'), known: against });
}

/** Writes rows over those of the same number, with their columns. */
async function overwrite(changed: readonly string[]): Promise<void> {
  for (const { event, eventText, prev_hash, this_hash } of changed.map(storedOf))
    await superuser.query(
      `UPDATE audit.records SET event_bytes = $2, prev_hash = decode($3, 'hex'), this_hash = decode($4, 'hex') WHERE seq = $1`,
      [event.chain.seq, eventText, prev_hash, this_hash],
    );
}

const raise = (text: string, index: number): string =>
  index === 12 ? text.replace('"amount":11', '"amount":99') : text;

test('a record edited: the chain names it', async () => {
  await superuser.query(
    `UPDATE audit.records SET event_bytes = replace(event_bytes, '"amount":11', '"amount":99') WHERE seq = 12`,
  );
  expect((await verify()).findings[0]).toMatchObject({
    kind: 'modified',
    stream: trail.stream,
    seq: 12,
  });
});

test('a record edited and all that follow sealed again: the chain is whole, and the signed tree another one', async () => {
  await overwrite(resealed(lines, raise));
  const alone = await verifyStore({ url: server.url('auditor') });
  expect(alone).toMatchObject({ verdict: 'intact', findings: [] });
  const { findings, streams } = await verify();
  expect(findings).toMatchObject([{ kind: 'rewritten', stream: trail.stream, seq: 9 }]);
  expect(streams[0]).toMatchObject({ verified_to: 8, cover: { signed_to: '9' } });
  const withReceipts = await knownOf(dir, { receipts: [receiptFile(trail.receipts)] });
  expect((await verify(withReceipts)).findings).toContainEqual(
    expect.objectContaining({ kind: 'receipt_differs', seq: 12 }),
  );
});

test('records taken out of the middle', async () => {
  await superuser.query('DELETE FROM audit.records WHERE seq BETWEEN 10 AND 12');
  expect((await verify()).findings[0]).toMatchObject({ kind: 'deleted', seq: 13 });
});

test('two records in each other’s place', async () => {
  for (const [from, to] of [
    [11, 1000],
    [12, 11],
    [1000, 12],
  ])
    await superuser.query('UPDATE audit.records SET seq = $2 WHERE seq = $1', [from, to]);
  const { findings } = await verify();
  expect(findings.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['reordered', 'column_differs', 'rewritten']),
  );
});

test('the end cut off: no chain shows it, and the checkpoint does', async () => {
  await superuser.query('DELETE FROM audit.records WHERE seq >= 20');
  expect((await verifyStore({ url: server.url('auditor') })).verdict).toBe('intact');
  expect((await verify()).findings).toMatchObject([
    { kind: 'truncated', stream: trail.stream, seq: 20 },
  ]);
});

test('the whole stream removed, with its name or without', async () => {
  const other = `INSERT INTO audit.streams (stream, tenant_id) VALUES ('sealtrail/test/other/x/standard', 'acme')`;
  await superuser.query(`${other}; DELETE FROM audit.records; DELETE FROM audit.record_keys`);
  const missing = [{ kind: 'truncated', stream: trail.stream, seq: 0 }];
  expect((await verify()).findings).toMatchObject(missing);
  await superuser.query(
    `UPDATE audit.streams SET stream = 'sealtrail/test/gone/x/standard' WHERE stream_id = (SELECT min(stream_id) FROM audit.streams)`,
  );
  expect((await verify()).findings).toMatchObject(missing);
  await superuser.query('DELETE FROM audit.streams');
  expect((await verify()).findings).toMatchObject(missing);
});

test('a record moved to another stream', async () => {
  await superuser.query(
    `INSERT INTO audit.streams (stream, tenant_id) VALUES ('sealtrail/test/other/x/standard', 'acme')`,
  );
  await superuser.query(
    `UPDATE audit.records SET stream_id = (SELECT stream_id FROM audit.streams WHERE stream LIKE '%other%') WHERE seq = ${RECORDS}`,
  );
  const { findings } = await verify();
  expect(findings.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['column_differs', 'truncated']),
  );
});

test('an event in other bytes that say the same', async () => {
  await overwrite(
    resealed(lines, (text, index) =>
      index === 12 ? text.replace('"amount":11', '"amount":11.0') : text,
    ),
  );
  expect((await verify()).findings[0]).toMatchObject({ kind: 'bytes_differ', seq: 12 });
});

test('the beginning removed, with no record of a purge', async () => {
  await superuser.query('DELETE FROM audit.records WHERE seq < 8');
  const { verdict, findings } = await verify();
  expect(verdict).toBe('broken');
  expect(findings[0]).toMatchObject({ kind: 'deleted' });
});
