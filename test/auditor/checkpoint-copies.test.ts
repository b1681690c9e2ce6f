/** The agent's newest signed checkpoints come into the store, and neither too early nor twice. */
import { appendFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createCopier } from '../../agent/checkpoint-copies.ts';
import { createConnection } from '../../store/connection.ts';
import { makeTempDir } from '../support/ledger.ts';
import type { StoredRecord } from '../../store/store.ts';
import { createSealer } from '../store/sealed.ts';
import {
  ACME,
  ASKED,
  checkpointOf,
  fieldsOf,
  openEvidenceStore,
  STATEMENT,
} from './evidence-store.ts';

test('each stream has its newest checkpoint there once its records are, and only its own tenant sees it', async () => {
  await using bench = await openEvidenceStore();
  await using temp = await makeTempDir();
  await bench.tamper('DELETE FROM audit.checkpoints');
  const journal = join(temp.path, 'journal.ndjson');
  const copier = createCopier(journal, createConnection({ url: bench.server.url('writer') }));
  const lineOf = async (size: number): Promise<string> => {
    const { head, note } = await checkpointOf(bench.records, size, bench.signer);
    return `${JSON.stringify({ head, note })}\n`;
  };
  const sizes = async (url: string): Promise<number[]> => {
    const client = new pg.Client(url);
    await client.connect();
    const { rows } = await client.query<{ size: string }>(
      `SELECT size FROM audit.checkpoints WHERE stream = '${ACME}' ORDER BY size`,
    );
    await client.end();
    return rows.map(({ size }) => Number(size));
  };

  await copier.copy();
  expect(await sizes(bench.alice)).toEqual([]);
  await writeFile(journal, `${await lineOf(60)}${await lineOf(100)}{"head":null,"note":"unfin`);
  await copier.copy();
  await copier.copy();
  expect(await sizes(bench.alice)).toEqual([100]);
  expect(await bench.ask()).toMatchObject({ verdict: 'intact', streams: [{ is_trusted: true }] });

  // Signed, and its records are still on their way: it waits, and no answer seems to be cut off.
  bench.records.push(bench.acme.seal(fieldsOf(120)));
  await writeFile(`${journal}.new`, `${await lineOf(120)}${await lineOf(121)}`);
  await rename(`${journal}.new`, journal);
  await copier.copy();
  expect(await sizes(bench.alice)).toEqual([100]);
  await bench.put(bench.records.slice(120));
  await copier.copy();
  expect(await sizes(bench.alice)).toEqual([100, 121]);
  await appendFile(journal, await lineOf(121));
  await copier.copy();
  expect(await sizes(bench.alice)).toEqual([100, 121]);

  await bench.admin.query(`CREATE ROLE bob LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor`);
  await bench.admin.query(`INSERT INTO audit.auditor_tenants VALUES ('bob', 'zeta')`);
  const url = new URL(bench.alice);
  url.username = 'bob';
  expect(await sizes(url.href)).toEqual([]);
  const writer = new pg.Client(bench.server.url('writer'));
  await writer.connect();
  await expect(writer.query('DELETE FROM audit.checkpoints')).rejects.toThrow('permission denied');
  await expect(
    writer.query(
      `INSERT INTO audit.checkpoints (stream, size, tenant_id, note) VALUES ('${ACME}', 5, 'zeta', 'x')`,
    ),
  ).rejects.toThrow('row-level security');
  await writer.end();
  const owner = new pg.Client(bench.server.url('owner'));
  await owner.connect();
  await expect(owner.query('TRUNCATE audit.checkpoints')).rejects.toThrow();
  await owner.end();
  copier.close();
});

test('one of an older copy of the agent, which had gone on before it heard of what the store holds, does not come there', async () => {
  await using bench = await openEvidenceStore();
  await using temp = await makeTempDir();
  const journal = join(temp.path, 'journal.ndjson');
  const copier = createCopier(journal, createConnection({ url: bench.server.url('writer') }));
  const copied = async (records: readonly StoredRecord[]): Promise<boolean> => {
    const { head, note } = await checkpointOf(records, 110, bench.signer);
    await writeFile(`${journal}.new`, `${JSON.stringify({ head, note })}\n`);
    await rename(`${journal}.new`, journal);
    await copier.copy();
    const { rows } = await bench.admin.query<{ note: string }>(
      `SELECT note FROM audit.checkpoints WHERE stream = '${ACME}' AND size = 110`,
    );
    return rows.some((row) => row.note === note);
  };
  const branch = createSealer(ACME, 'acme', bench.records[99]);
  const others = Array.from({ length: 10 }, (_, n) => branch.seal(fieldsOf(100 + n)));
  expect(await copied([...bench.records.slice(0, 100), ...others])).toBe(false);
  const asked = { ...ASKED, until: '2026-03-06T00:00:00.000Z' };
  const statement = { ...STATEMENT, values: ['acme', 'u-1', asked.since, asked.until] };
  expect(await bench.ask({ asked }, statement)).toMatchObject({ verdict: 'intact', findings: [] });
  expect(await copied(bench.records)).toBe(true);
  expect(await bench.ask({ asked }, statement)).toMatchObject({ verdict: 'intact', findings: [] });
  copier.close();
});
