/** A certificate over what a purge left: the tree begins with what its record names, and stubs keep their links. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AnswerRow } from '../../auditor/answer.ts';
import { certify } from '../../auditor/certificate/certify.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { connectTo } from '../support/postgres.ts';
import {
  createPurgeableStream,
  LONG_AGO,
  preview,
  PURGE_SIGNER as signer,
  runPurge,
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

async function sign(...streams: readonly PurgeableStream[]): Promise<void> {
  await using writer = await connectTo(bench.server.url('writer'));
  for (const { records } of streams)
    await insertCheckpoints(writer.client, [await checkpointOf(records, records.length, signer)]);
}

async function ask(
  of: PurgeableStream,
  actor = 'u-550',
  shown: readonly AnswerRow[] = [],
): Promise<Certificate> {
  await sign(of);
  await using auditor = await connectTo(bench.server.url('auditor'));
  const { client } = auditor;
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const tenant = tenantOf(of);
  const statement = { ...STATEMENT, values: [tenant, actor, SPAN.since, SPAN.until] };
  const rows = [...(await readRows(client, statement)), ...shown];
  const asked = { ...ASKED, ...SPAN, tenant, parameters: { actor } };
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

const OF = 'stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)';

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
  expect(made.rows.count).toBe(1);
  expect(made.not_proven.join()).toContain('Whether 255 records of the range');
});

test('a row of which a purge left the hashes alone is named', async () => {
  const mine = await bench.makeStream(OLD);
  await bench.hold(mine, { actor: 'u-300' });
  const { event, eventText, prev_hash, this_hash } = mine.records[400]!;
  await bench.purge(mine, 512);
  expect((await ask(mine, 'u-400')).verdict).toBe('intact');
  const record = {
    ...{ stream: mine.stream, seq: 400, event_id: event.event_id, event_bytes: eventText },
    ...{ prev_hash, this_hash },
  };
  const made = await ask(mine, 'u-400', [{ values: [], record }]);
  expect(made).toMatchObject({
    verdict: 'broken',
    findings: [
      { kind: 'range_narrowed', seq: 400, message: expect.stringContaining('whole') as string },
    ],
  });
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
  await bench.tamper(
    'records',
    `UPDATE audit.records SET event_bytes = $2, action = 'retention.purge' WHERE seq = 602 AND ${OF}`,
    [mine.stream, forged?.eventText],
  );
  await bench.tamper('records', `DELETE FROM audit.records WHERE seq < 512 AND ${OF}`, [
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
  await bench.tamper('records', `DELETE FROM audit.records WHERE seq < 512 AND ${OF}`, [
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

test.each([
  ['in the place of another record', 599],
  ['behind the end', 5_000],
])(
  'a record of a purge that is shown to whoever looks for purges alone, %s, excuses nothing',
  async (_, at) => {
    const mine = await bench.makeStream(OLD);
    const later = '2026-01-02T00:00:00.000Z';
    await mine.store([1, 2, 3].map(() => ({ actor: 'u-9', time: later, receivedAt: later })));
    expect((await ask(mine)).verdict).toBe('intact');
    const behind = mine.records[598]!;
    const chain = { ...behind.event.chain, seq: at - 1 };
    const before = { ...behind, event: { ...behind.event, chain } };
    const forger = createSealer(mine.stream, tenantOf(mine), before);
    const forged: StoredRecord[] = [];
    const shadow = createPurgeableStream(
      { appendRecords: () => Promise.resolve({ ok: true, value: { refused: [] } }) } as never,
      tenantOf(mine),
      mine.stream.split('/')[3] ?? '',
    );
    (shadow.records as StoredRecord[]).push(...mine.records);
    const said = await preview(bench.clients.retention, mine.stream, 512);
    await shadow.recordPurge(said, undefined, undefined, {
      stream: mine.stream,
      seal: (fields) => {
        forged.push(forger.seal(fields));
        return forged[0]!;
      },
    });
    const { event, eventText, prev_hash, this_hash } = forged[0]!;
    await bench.tamper(
      'records',
      `INSERT INTO audit.records (occurred_at, received_at, seq, stream_id, duplicate, event_id, tenant_id, actor_type, actor_id,
       action, category, outcome, resource_type, resource_id, prev_hash, this_hash, event_bytes)
     SELECT '2031-01-01', received_at, $6, stream_id, false, $2, tenant_id, actor_type, actor_id, 'retention.purge', category, outcome,
       resource_type, resource_id, decode($3, 'hex'), decode($4, 'hex'), $5 FROM audit.records WHERE seq = 599 AND ${OF}`,
      [mine.stream, event.event_id, prev_hash, this_hash, eventText, at],
    );
    await bench.clients.admin
      .query(`CREATE POLICY hiding ON audit.records AS RESTRICTIVE FOR SELECT TO sealtrail_auditor
    USING (occurred_at < '2031-01-01' OR current_query() LIKE '%ORDER BY r.received_at%')`);
    await bench.tamper('records', `DELETE FROM audit.records WHERE seq < 512 AND ${OF}`, [
      mine.stream,
    ]);
    const made = await ask(mine);
    const verified = await bench.verify(mine);
    await bench.clients.admin.query('DROP POLICY hiding ON audit.records');
    for (const { verdict, findings } of [made, verified]) {
      expect(verdict).toBe('broken');
      expect(findings).toMatchObject([{ kind: 'purge_mismatch', stream: mine.stream, seq: at }]);
    }
  },
);

test('a purge that was recorded, and then not carried out because of a hold, excuses nothing, whatever the database says of its time', async () => {
  const mine = await bench.makeStream(OLD);
  // So that of the records of purges the hashes alone are read.
  const later = '2026-01-02T00:00:00.000Z';
  await mine.store([1, 2, 3].map(() => ({ actor: 'u-9', time: later, receivedAt: later })));
  // What a hold that was placed meanwhile had the store refuse, and the record that took its place.
  await mine.recordPurge(await preview(bench.clients.retention, mine.stream, 512));
  await bench.hold(mine, { actor: 'u-300' });
  await bench.purge(mine, 512);
  expect(await ask(mine, 'u-300')).toMatchObject({ verdict: 'intact', rows: { count: 1 } });
  for (const table of ['records', 'stubs'])
    await bench.tamper(table, `DELETE FROM audit.${table} WHERE seq < 512 AND ${OF}`, [
      mine.stream,
    ]);
  await bench.tamper(
    'records',
    `UPDATE audit.records SET received_at = '2031-01-01' WHERE seq = 603 AND ${OF}`,
    [mine.stream],
  );
  expect(await ask(mine, 'u-300')).toMatchObject({ verdict: 'broken', rows: { count: 0 } });
});

/** A stream of an incarnation that is over, purged by a record in the next one. */
async function makeEnded(
  fields: Parameters<PurgeStore['makeStream']>[0],
): Promise<{ readonly mine: PurgeableStream; readonly next: PurgeableStream }> {
  const mine = await bench.makeStream(fields);
  await sign(mine);
  const label = `f${mine.stream.split('/')[3]?.slice(1) ?? ''}`;
  const next = createPurgeableStream(bench.store, tenantOf(mine), label);
  await next.store(events(10));
  await bench.hold(mine, { actor: 'u-300' });
  const sealer = createSealer(next.stream, tenantOf(mine), next.records.at(-1));
  const said = await preview(bench.clients.retention, mine.stream, 512);
  const place = await mine.recordPurge(said, undefined, undefined, {
    stream: next.stream,
    seal: (of) => {
      const sealed = sealer.seal(of);
      (next.records as StoredRecord[]).push(sealed);
      return sealed;
    },
  });
  await runPurge(bench.clients.retention, place);
  return { mine, next };
}

test('the last that was kept of a stream, and its stubs, are missed although nothing else is left of it', async () => {
  const { mine, next } = await makeEnded(OLD.slice(0, 512));
  expect(await ask(next, 'u-300')).toMatchObject({ verdict: 'intact', rows: { count: 1 } });
  for (const table of ['records', 'stubs'])
    await bench.tamper(table, `DELETE FROM audit.${table} WHERE ${OF}`, [mine.stream]);
  const made = await ask(next, 'u-300');
  expect(made).toMatchObject({ verdict: 'broken', rows: { count: 0 } });
  expect(made.findings.map(({ kind }) => kind).sort()).toEqual(['purge_mismatch', 'truncated']);
});

test('an end that was cut off together with its checkpoints is missed by the one that the record of a purge carries', async () => {
  const { mine, next } = await makeEnded(OLD);
  expect((await ask(next)).verdict).toBe('intact');
  await bench.tamper('records', `DELETE FROM audit.records WHERE seq >= 560 AND ${OF}`, [
    mine.stream,
  ]);
  await bench.tamper('checkpoints', 'DELETE FROM audit.checkpoints WHERE stream = $1', [
    mine.stream,
  ]);
  const made = await ask(next);
  expect(made).toMatchObject({
    verdict: 'broken',
    findings: [{ kind: 'truncated', stream: mine.stream, seq: 560 }],
  });
});
