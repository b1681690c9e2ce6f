/** A certificate over what a purge left: the tree begins with what its record names, and stubs keep their links. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certify } from '../../auditor/certificate/certify.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { connectTo } from '../support/postgres.ts';
import {
  createPurgeableStream,
  LONG_AGO,
  preview,
  PURGE_SIGNER as signer,
  type PurgeableStream,
} from '../support/purging.ts';
import type { StoredRecord } from '../../store/store.ts';
import { createSealer } from '../store/sealed.ts';
import { events, openPurgeStore, tenantOf, type PurgeStore } from '../support/purge-store.ts';
import { ASKED, checkpointOf, readRows, STATEMENT, trustOf } from './evidence-store.ts';
import { insertCheckpoints } from '../../store/checkpoints.ts';

let bench: PurgeStore;
beforeAll(async () => void (bench = await openPurgeStore()));
afterAll(() => bench[Symbol.asyncDispose]());

const OLD = events(600).map((one) => ({ ...one, time: LONG_AGO }));
const SPAN = { since: '2024-01-01T00:00:00.000Z', until: '2025-01-01T00:00:00.000Z' };

async function ask(of: PurgeableStream): Promise<Certificate> {
  await using writer = await connectTo(bench.server.url('writer'));
  await insertCheckpoints(writer.client, [
    await checkpointOf(of.records, of.records.length, signer),
  ]);
  await using auditor = await connectTo(bench.server.url('auditor'));
  const { client } = auditor;
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const tenant = tenantOf(of);
  const statement = { ...STATEMENT, values: [tenant, 'u-550', SPAN.since, SPAN.until] };
  const rows = await readRows(client, statement);
  expect(rows).toHaveLength(1);
  const asked = { ...ASKED, ...SPAN, tenant, parameters: { actor: 'u-550' } };
  return await certify({
    client,
    asked,
    statement,
    rows,
    known: null,
    trust: trustOf(signer),
    verifier: 'test',
  });
}

test('behind a purged prefix, and across stubs between held records', async () => {
  const mine = await bench.makeStream(OLD);
  await bench.hold(mine, { actor: 'u-300' });
  await bench.purge(mine, 512);
  const made = await ask(mine);
  expect(made.findings).toEqual([]);
  expect(made.verdict).toBe('intact');
  expect(made.streams).toMatchObject([{ stream: mine.stream, is_trusted: true, from: 300 }]);
  expect(made.notes.join()).toContain('up to seq 511 were purged, 1 of them kept');
  expect(made.not_proven.join()).toContain('purged under the retention policy');
  // Of 256 to 511 one is held.
  expect(made).toMatchObject({ purged: 255, judged: { by: 'rows', matching: 1 } });
  expect(made.not_proven.join()).toContain('Whether 255 records of the range');
});

test('a forged record of a purge, where only the hashes are read, excuses no deletion', async () => {
  const mine = await bench.makeStream(OLD);
  const later = '2026-01-02T00:00:00.000Z';
  await mine.store([1, 2, 3].map(() => ({ actor: 'u-9', time: later, receivedAt: later })));
  expect((await ask(mine)).verdict).toBe('intact');
  const shadow = createPurgeableStream(
    { appendRecords: () => Promise.resolve({ ok: true, value: { refused: [] } }) } as never,
    tenantOf(mine),
    mine.stream.split('/')[3] ?? '',
  );
  (shadow.records as StoredRecord[]).push(...mine.records);
  await shadow.recordPurge(await preview(bench.clients.retention, mine.stream, 512));
  const forged = shadow.records.at(-1);
  const ofMine = 'stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)';
  await bench.tamper(
    'records',
    `UPDATE audit.records SET event_bytes = $2, action = 'retention.purge' WHERE seq = 602 AND ${ofMine}`,
    [mine.stream, forged?.eventText],
  );
  await bench.tamper('records', `DELETE FROM audit.records WHERE seq < 512 AND ${ofMine}`, [
    mine.stream,
  ]);
  const made = await ask(mine);
  expect(made.verdict).toBe('broken');
  expect(made.findings.map(({ kind }) => kind)).toContain('deleted');
});

test('a record of a purge that no key has signed excuses nothing: it stands behind the last checkpoint', async () => {
  const mine = await bench.makeStream(OLD);
  const later = '2026-01-02T00:00:00.000Z';
  await mine.store([1, 2, 3].map(() => ({ actor: 'u-9', time: later, receivedAt: later })));
  expect((await ask(mine)).verdict).toBe('intact');
  // With a checkpoint of the agent's that whoever has the store has seen.
  const forger = createSealer(mine.stream, tenantOf(mine), mine.records.at(-1));
  const said = await preview(bench.clients.retention, mine.stream, 512);
  await mine.recordPurge(said, undefined, undefined, forger);
  const ofMine = 'stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)';
  await bench.tamper('records', `DELETE FROM audit.records WHERE seq < 512 AND ${ofMine}`, [
    mine.stream,
  ]);
  const made = await ask(mine);
  expect(made).toMatchObject({ verdict: 'cannot_tell', proven: [] });
  expect(made.finding).toContain(
    `rests on record 603 of ${mine.stream}, which is under no checkpoint`,
  );
});

test('a stub whose hash was edited breaks what was certified', async () => {
  const mine = await bench.makeStream(OLD);
  await bench.hold(mine, { actor: 'u-300' });
  await bench.purge(mine, 512);
  await bench.tamper(
    'stubs',
    `UPDATE audit.stubs SET this_hash = sha256(this_hash) WHERE seq = 400 AND stream_id =
     (SELECT stream_id FROM audit.streams WHERE stream = $1)`,
    [mine.stream],
  );
  const made = await ask(mine);
  expect(made).toMatchObject({ verdict: 'broken' });
  expect(made.findings.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['modified', 'rewritten']),
  );
});
