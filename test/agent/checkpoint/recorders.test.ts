/** Anchors that only record, against the real thing: a file, and a second PostgreSQL. (Object Lock: store/archive.) */
import { appendFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { Anchor } from '../../../agent/checkpoint/anchors/anchor.ts';
import { parseKeys } from '../../../agent/checkpoint/anchors/begin.ts';
import { comparing } from '../../../agent/checkpoint/anchors/compare.ts';
import { createFileAnchor } from '../../../agent/checkpoint/anchors/file.ts';
import { createPostgresqlAnchor } from '../../../agent/checkpoint/anchors/postgresql.ts';
import { ANCHOR_TABLE_SQL } from '../../../store/anchors.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createTestLog } from '../../support/witness.ts';

const signal = new AbortController().signal;
const inTime = (): AbortSignal => AbortSignal.timeout(20_000);

/** What holds for all that only record. */
async function expectRecords(open: () => Anchor): Promise<void> {
  const log = createTestLog();
  const keys = parseKeys([log.vkey]);
  const anchor = comparing(open(), keys, true);
  expect(await anchor.newest?.(await log.publication(1), inTime())).toEqual({
    ok: true,
    value: null,
  });
  for (const size of [2, 7])
    expect(await anchor.publish(await log.publication(size), inTime())).toMatchObject({
      ok: true,
      value: { kind: 'copy' },
    });
  const again = comparing(open(), keys, true);
  expect(await again.publish(await log.publication(7), inTime())).toMatchObject({ ok: true });
  expect(await again.publish(await log.publication(3), inTime())).toMatchObject({
    ok: false,
    error: { kind: 'conflict_size', held: { size: 7n } },
  });
  for (const size of [7, 9])
    expect(await again.publish(await log.fork(5).publication(size), inTime())).toMatchObject({
      ok: false,
      error: { kind: 'conflict_root', held: { size: 7n } },
    });
  // Without asking first the same size still has one root.
  const blind = await open().publish(await log.fork(5).publication(7), inTime());
  expect(blind).toMatchObject({ ok: false, error: { kind: 'conflict_root' } });
  expect(await again.publish(await log.publication(9), inTime())).toMatchObject({ ok: true });
  // Whoever may write there must not be able to make the agent leave its log.
  const stranger = await createTestLog(log.origin.split('/')[2]).publication(50);
  expect(await open().publish(stranger, inTime())).toMatchObject({ ok: true });
  expect(await again.publish(await log.publication(10), inTime())).toMatchObject({
    ok: false,
    error: { kind: 'refused', message: expect.stringContaining('no key of this agent') as string },
  });
  await anchor.close();
  await again.close();
}

test('an append-only file keeps every note, past a line that was torn, and one root a size', async () => {
  await using folder = await makeTempDir();
  const path = join(folder.path, 'anchor.ndjson');
  const open = (): Anchor => createFileAnchor({ name: 'f', path }, Date.now);
  await expectRecords(open);
  const log = createTestLog();
  expect(await open().publish(await log.publication(1), signal)).toMatchObject({ ok: true });
  await appendFile(path, '{"note":"half a li');
  expect(await open().publish(await log.publication(2), signal)).toMatchObject({ ok: true });
  const held = await open().newest?.(await log.publication(2), signal);
  expect(held).toMatchObject({ ok: true, value: { size: 2n } });
  await truncate(path, 0);
  expect(await open().newest?.(await log.publication(2), signal)).toMatchObject({
    ok: true,
    value: null,
  });
  const gone = createFileAnchor({ name: 'f', path: join(folder.path, 'no/such') }, Date.now);
  expect(await gone.publish(await log.publication(1), signal)).toMatchObject({
    ok: false,
    error: { kind: 'unreachable' },
  });
});

test('a second PostgreSQL keeps the first note of a size; the role of the agent changes nothing there', async () => {
  const postgres: TestPostgres = await startPostgres();
  try {
    const { pathname } = new URL(postgres.url('writer'));
    const role = decodeURIComponent(new URL(postgres.url('writer')).username);
    const owner = new pg.Client({ connectionString: postgres.url('owner') });
    await owner.connect();
    await owner.query(ANCHOR_TABLE_SQL.replaceAll('ROLE', role));
    const url = postgres.url('writer');
    const open = (at = url): Anchor =>
      createPostgresqlAnchor({ name: 'p', url: at }, { timeoutMs: 10_000, nowMs: Date.now });
    await expectRecords(() => open());
    const writer = new pg.Client({ connectionString: url });
    await writer.connect();
    for (const statement of [
      'DELETE FROM sealtrail_anchor.checkpoints',
      "UPDATE sealtrail_anchor.checkpoints SET note = ''",
      'TRUNCATE sealtrail_anchor.checkpoints',
      "INSERT INTO sealtrail_anchor.checkpoints VALUES ('a', 1, 'b', now())",
    ])
      await expect(writer.query(statement), statement).rejects.toThrow(/permission denied/);
    await expect(owner.query('DELETE FROM sealtrail_anchor.checkpoints')).rejects.toThrow(
      /never changed/,
    );
    const { rows } = await owner.query('SELECT 1 FROM sealtrail_anchor.checkpoints');
    expect(rows.length).toBeGreaterThan(2);
    for (const client of [owner, writer]) await client.end();
    const log = createTestLog();
    const refused = open(url.replace(pathname, '/postgres'));
    expect(await refused.publish(await log.publication(1), inTime())).toMatchObject({
      ok: false,
      error: { kind: 'refused' },
    });
  } finally {
    await postgres.stop();
  }
  const log = createTestLog();
  const gone = createPostgresqlAnchor(
    { name: 'p', url: postgres.url('writer') },
    { timeoutMs: 5_000, nowMs: Date.now },
  );
  expect(await gone.publish(await log.publication(1), inTime())).toMatchObject({
    ok: false,
    error: { kind: 'unreachable' },
  });
});
