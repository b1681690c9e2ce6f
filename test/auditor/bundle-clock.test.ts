/** Clocks that others know otherwise, and times that no clock shows, are no reason to call an honest answer broken, and none to fail. */
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AnswerRow, Asked } from '../../auditor/answer.ts';
import { createAuditor } from '../../auditor/ask.ts';
import { FILES } from '../../auditor/bundle/names.ts';
import { cellText } from '../../auditor/bundle/report.ts';
import { formatCertificate } from '../../auditor/certificate/certificate.ts';
import { writeCertificateNote } from '../../auditor/certificate/note.ts';
import { sha256Of, type BundleFiles } from '../../auditor/check/files.ts';
import { exportAnswer } from '../../auditor/export.ts';
import { clockText } from '../../auditor/rules/clock.ts';
import { rehash } from '../../ledger/content-check.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { openBundleBench, type BundleBench } from './bundle-bench.ts';
import { certificateOf, forgeBundle, readFolder, textOfFile } from './bundle-files.ts';
import { ASKED, trustOf } from './evidence-store.ts';

let bench: BundleBench;
let whole: BundleFiles;
const asked: Asked = { ...ASKED, question: 'off-hours', parameters: { days: 'sun' } };
beforeAll(async () => {
  bench = await openBundleBench();
  const url = bench.store.alice;
  const auditor = createAuditor({ url });
  const path = join(bench.dir, 'off-hours');
  const trust = trustOf(bench.store.signer);
  const done = await exportAnswer(auditor, asked, {
    ...{ url, path, known: null, trust, verifier: 'sealtrail test', signer: null },
    time: '2026-11-26T12:00:00.000Z',
  });
  auditor.close();
  if (!done.ok) throw new Error(done.error.message);
  whole = await readFolder(path);
});
afterAll(() => bench[Symbol.asyncDispose]());

const rowsOf = (files: BundleFiles): (AnswerRow & { row: number })[] =>
  textOfFile(files, FILES.rows)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as AnswerRow & { row: number });

const cellOf = ({ values }: Pick<AnswerRow, 'values'>): string => String(values[0]);

/** As many hours later, by a clock that is known otherwise. */
function later({ values: [local, ...values], ...row }: AnswerRow, hours: number): AnswerRow {
  const ms = Date.parse(`${String(local).slice(0, 19).replace(' ', 'T')}Z`);
  return { ...row, values: [clockText(ms + hours * 3_600_000, 'UTC'), ...values] };
}

/** The bundle with these rows, and every digest made to fit. */
async function remade(rows: readonly AnswerRow[]): Promise<BundleFiles> {
  const certificate = certificateOf(whole);
  const text = rows.map((row) => `${canonicalize(row)}\n`).join('');
  const before = rowsOf(whole);
  const digest = { ...certificate.rows, sha256: sha256Of(Buffer.from(text)) };
  const changed = formatCertificate({ ...certificate, rows: digest });
  const table = textOfFile(whole, FILES.csv);
  return forgeBundle(whole, {
    [FILES.rows]: text,
    [FILES.csv]: rows.reduce(
      (csv, { values }, at) =>
        csv.replace(`\n${at + 1},${cellOf(before[at]!)}`, `\n${at + 1},${cellOf({ values })}`),
      table,
    ),
    [FILES.certificate]: changed,
    [FILES.note]: await writeCertificateNote(changed, 'intact', '2026-11-26T12:00:00.000Z', null),
  });
}

test('a local time that other rules for the time zone give cannot be told from an edit; one that none give is named', async () => {
  const rows = rowsOf(whole);
  expect(bench.check(await remade(rows)).verdict).toBe('intact');
  const other = bench.check(await remade(rows.map((row) => later(row, 1))));
  expect(other).toMatchObject({ verdict: 'cannot_tell' });
  expect(other.finding).toContain('known otherwise here than where the answer was made');
  const edited = bench.check(await remade(rows.map((row, at) => (at === 2 ? later(row, 5) : row))));
  expect(edited.finding).toMatch(/^BROKEN at row 3: the column By the clock there/);
});

test('of a question in a time zone that is not known here nothing can be told', async () => {
  const inZone = async (timeZone: string): Promise<BundleFiles> => {
    const elsewhere = { ...asked, timeZone };
    const changed = formatCertificate({ ...certificateOf(whole), asked: elsewhere });
    const question = JSON.parse(textOfFile(whole, FILES.question)) as object;
    return forgeBundle(whole, {
      [FILES.question]: `${canonicalize({ ...question, asked: elsewhere })}\n`,
      [FILES.certificate]: changed,
      [FILES.note]: await writeCertificateNote(changed, 'intact', '2026-11-26T12:00:00.000Z', null),
    });
  };
  expect(bench.check(await inZone(asked.timeZone)).verdict).toBe('intact');
  const said = bench.check(await inZone('Europe/Nowhere'));
  expect(said).toMatchObject({ verdict: 'cannot_tell' });
  expect(said.finding).toContain('does not know the question, or its time zone');
  const [column] = said.question!.columns.filter(({ kind }) => kind === 'time');
  expect(cellText('2026-03-02T08:00:00.000Z', column, 'Europe/Nowhere')).toMatch(
    / 08:00:00 \+00:00$/,
  );
});

test('a record of no time that a clock shows is no reason to fail', async () => {
  for (const time of ['never', '+275760-09-13T00:00:00.000Z']) {
    const [first, ...rest] = rowsOf(whole);
    const event_bytes = first!.record!.event_bytes.replaceAll(/2026-03-\d\dT[\d:.]+Z/g, time);
    const this_hash = rehash(first!.record!.prev_hash, event_bytes);
    const forged = { ...first!, record: { ...first!.record!, event_bytes, this_hash } };
    const said = bench.check(await remade([forged, ...rest]));
    expect(said.finding).toMatch(/^BROKEN at row 1: /);
  }
});

test('where the database knows the clock otherwise than the program nothing can be told', async () => {
  const rows = rowsOf(whole).map(({ values, record }) => ({ values, record }));
  const shifted = rows.map((row) => later(row, 1));
  const client = new pg.Client(bench.store.alice);
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  /** As a database of another release of the rules answers. */
  const other = Object.assign(Object.create(client) as pg.Client, {
    query: async (sql: string, values?: unknown[]) =>
      client.query(sql.replace('t AT TIME ZONE $3', "$& + interval '1 hour'"), values),
  });
  expect(await bench.store.ask({ asked, rows, client })).toMatchObject({ verdict: 'intact' });
  const said = await bench.store.ask({ asked, rows: shifted, client: other });
  const unlike = await bench.store.ask({ asked, rows: shifted, client });
  await client.end();
  expect(said).toMatchObject({ verdict: 'cannot_tell', findings: [] });
  expect(said.finding).toContain('know the clock of Europe/Berlin otherwise');
  expect(unlike).toMatchObject({ verdict: 'broken' });
});
