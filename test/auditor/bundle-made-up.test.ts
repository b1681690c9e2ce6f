/** Bundles that somebody made up out of genuine parts: what no signature shows is not called intact. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { VERSION } from '../../agent/version.ts';
import type { Asked } from '../../auditor/answer.ts';
import { createAuditor } from '../../auditor/ask.ts';
import { FILES } from '../../auditor/bundle/names.ts';
import { formatCertificate, type Certificate } from '../../auditor/certificate/certificate.ts';
import { writeCertificateNote } from '../../auditor/certificate/note.ts';
import { checkBundle } from '../../auditor/check/bundle.ts';
import { sha256Of, type BundleFiles } from '../../auditor/check/files.ts';
import { exportAnswer, type ExportOptions } from '../../auditor/export.ts';
import { compareReport } from '../../cli/check-report.ts';
import { runCheckBundle } from '../../cli/check-bundle.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { openBundleBench, type BundleBench } from './bundle-bench.ts';
import {
  certificateOf,
  failedOf,
  forgeBundle,
  readFolder,
  textOfFile,
  type Changes,
} from './bundle-files.ts';
import { ASKED, trustOf } from './evidence-store.ts';

let bench: BundleBench;
beforeAll(async () => {
  bench = await openBundleBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

let made = 0;
async function take(
  asked: Partial<Asked>,
  over: Partial<ExportOptions> = {},
): Promise<BundleFiles> {
  const url = bench.store.alice;
  const auditor = createAuditor({ url });
  made += 1;
  const path = join(bench.dir, `made-${made}`);
  const done = await exportAnswer(
    auditor,
    { ...ASKED, ...asked },
    {
      ...{ url, path, known: null, trust: null, verifier: `sealtrail ${VERSION}`, signer: null },
      ...{ time: '2026-11-26T12:00:00.000Z', ...over },
    },
  );
  auditor.close();
  if (!done.ok) throw new Error(done.error.message);
  return readFolder(path);
}

/** With rows and certificate changed, and every digest made to fit; nobody has signed it. */
async function remake(
  whole: BundleFiles,
  changes: Changes,
  change: (certificate: Certificate) => Partial<Certificate> = () => ({}),
): Promise<BundleFiles> {
  const changed = forgeBundle(whole, changes);
  const certificate = certificateOf(whole);
  const rows = { ...certificate.rows, sha256: sha256Of(changed.get(FILES.rows)!) };
  const text = formatCertificate({ ...certificate, rows, ...change({ ...certificate, rows }) });
  const note = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
  return forgeBundle(changed, { [FILES.certificate]: text, [FILES.note]: note });
}

test('a row behind which no record stands, in an answer of records: it is named', async () => {
  const { whole } = bench;
  const [last = ''] = textOfFile(whole, FILES.rows).trimEnd().split('\n').slice(-1);
  const { values } = JSON.parse(last) as { values: (string | number | null)[] };
  const line = `${canonicalize({ row: 11, record: null, values })}\n`;
  const [cells = ''] = textOfFile(whole, FILES.csv).trimEnd().split('\r\n').slice(-1);
  const forged = await remake(
    whole,
    {
      [FILES.rows]: (text) => text + line,
      [FILES.csv]: (text) => `${text}${cells.replace(/^10,/, '11,')}\r\n`,
    },
    ({ rows, judged }) => ({ rows: { ...rows, count: 11 }, judged: { ...judged!, matching: 11 } }),
  );
  expect(bench.check(forged).finding).toBe('BROKEN at row 11: no record stands behind the row.');
});

test('a value beyond the columns, and one that the database computed: the row is named', async () => {
  const more = await remake(bench.whole, {
    [FILES.rows]: (text) => text.replace(/\]\}\n/, ',"and more"]}\n'),
    [FILES.csv]: (text) => text.replace(/^(1,.*)\r\n/m, '$1,and more\r\n'),
  });
  expect(bench.check(more).finding).toContain('BROKEN at row 1: the row has more values');
  const asked = { question: 'off-hours', parameters: { days: 'sun' } };
  const whole = await take(asked, { trust: trustOf(bench.store.signer) });
  expect(bench.check(whole).verdict).toBe('intact');
  const edit = (text: string): string =>
    text.replace(/2026-03-02 01:00:00 Mon/, '2026-03-02 12:00:00 Mon');
  const forged = await remake(whole, { [FILES.rows]: edit, [FILES.csv]: edit });
  expect(bench.check(forged).finding).toContain(
    'BROKEN at row 1: the column By the clock there shows',
  );
});

test('what makes a record a row where others say so, an access before it or a ticket, is shown by the signature alone', async () => {
  const asked = { question: 'first-time-access', parameters: { actor: 'u-1' } };
  const trust = trustOf(bench.store.signer);
  const signed = await take(asked, { trust, signer: bench.auditor });
  expect(bench.check(signed)).toMatchObject({ verdict: 'intact', isSigned: true });
  // Each record is new to the actor, and its kind is not: all of these rows are accused of nothing that happened.
  const ofKind = (text: string): string => text.replace('"of":"record"', '"of":"kind"');
  const accused = await remake(
    await take(asked, { trust }),
    { [FILES.question]: ofKind },
    ({ asked: said }) => ({
      asked: { ...said, parameters: { ...said.parameters, of: 'kind' } },
    }),
  );
  const made = bench.check(accused);
  expect(failedOf(made)).toEqual([]);
  expect(made.rows.length).toBeGreaterThan(0);
  expect(made).toMatchObject({ verdict: 'cannot_tell', isSigned: false });
  expect(made.finding).toContain('what makes these records rows');
});

test('the question has the name of the catalogue, whatever the bundle calls it', () => {
  const forged = forgeBundle(bench.whole, {
    [FILES.question]: (text) => text.replace('What did this actor do?', 'All that happened'),
  });
  expect(bench.check(forged).question?.title).toBe('What did this actor do?');
});

test('records behind a genuine checkpoint that is too small: without a signature nothing can be told', async () => {
  await bench.store.tamper('DELETE FROM audit.checkpoints WHERE size > 60');
  const keys = trustOf(bench.store.signer, bench.auditor);
  const unsigned = checkBundle(await take({}), keys);
  expect(failedOf(unsigned)).toEqual([]);
  expect(unsigned.verdict).toBe('cannot_tell');
  expect(unsigned.finding).toContain('the records of row 8 and of 2 more are under no checkpoint');
  const vouched = checkBundle(await take({}, { signer: bench.auditor }), keys);
  expect(vouched).toMatchObject({ verdict: 'intact', isSigned: true });
});

test('figures are shown by the signature alone, and one of a key that was revoked is none', async () => {
  const asked = {
    question: 'silences',
    parameters: { minutes: '30' },
    until: '2026-03-03T00:00:00.000Z',
  };
  const keys = trustOf(bench.store.signer, bench.auditor);
  expect(checkBundle(await take(asked), keys).finding).toMatch(
    /^Cannot tell: .* figures are shown by/,
  );
  const signed = await take(asked, { signer: bench.auditor });
  // The beginning under the title of the end.
  const [from, to] = [
    '{"kind":"time","name":"from","title":"From"}',
    '{"kind":"time","name":"to","title":"To"}',
  ];
  const turned = forgeBundle(signed, {
    [FILES.question]: (text) => text.replace(`${from},${to}`, `${to},${from}`),
    [FILES.csv]: (text) => text.replace('row,from,to', 'row,to,from'),
  });
  expect(checkBundle(turned, keys).finding).toContain(
    'the question has no column From in this place',
  );
  expect(checkBundle(signed, keys)).toMatchObject({ verdict: 'intact', isSigned: true });
  const revoked = [
    { vkey: bench.auditor.vkey, time: '2026-11-01T00:00:00.000Z', reason: 'stolen' },
  ];
  expect(checkBundle(signed, { ...keys, revoked })).toMatchObject({
    verdict: 'cannot_tell',
    isSigned: false,
  });
});

test('a question that the catalogue does not have shows nothing, whatever its columns are called', async () => {
  const lines = textOfFile(bench.whole, FILES.rows).trimEnd().split('\n');
  const rows = lines.map((line) => ({ ...(JSON.parse(line) as object), values: ['yes'] }));
  const other = (text: string): string => text.replace('actor-activity', 'fraud-by-actor');
  const forged = await remake(
    bench.whole,
    {
      [FILES.rows]: rows.map((row) => `${canonicalize(row)}\n`).join(''),
      [FILES.csv]: `row,guilty\r\n${rows.map((_, at) => `${at + 1},yes\r\n`).join('')}`,
      [FILES.question]: (text) =>
        other(text).replace(
          /"columns":\[.*?\](?=,"login")/,
          '"columns":[{"kind":"text","name":"guilty","title":"Guilty"}]',
        ),
    },
    ({ asked }) => ({ asked: { ...asked, question: 'fraud-by-actor' } }),
  );
  const said = bench.check(forged);
  expect(failedOf(said)).toEqual([]);
  expect(said).toMatchObject({ verdict: 'cannot_tell' });
  expect(said.finding).toContain('this version does not know the question');
});

test('a name that somebody put under the note is no key that has signed it', () => {
  const { name, id } = bench.auditor;
  expect(bench.check(bench.whole)).toMatchObject({ isSigned: true, signers: [`${name}+${id}`] });
  const forged = forgeBundle(bench.whole, {
    [FILES.note]: (text) => `${text}\u2014 judge/supreme-court 3q2+7wAAAAAA\n`,
  });
  const said = bench.check(forged);
  expect(said).toMatchObject({ isSigned: true, signers: [`${name}+${id}`] });
  expect(JSON.stringify(said.lines)).not.toContain('supreme-court');
});

test.each([FILES.certificate, FILES.question])(
  '%s that is nested without end is not in its form, and no reason to fail',
  (file) => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const forged = forgeBundle(bench.whole, {
      [file]: (text) => text.replace('{', `{"":${deep},`),
    });
    expect(bench.check(forged).finding).toContain(`in its ${file}: it is not there, or not in`);
  },
);

/** Ways to the members of a value. */
function waysInto(value: unknown, way: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null || way.length > 5) return [way];
  const members = Object.entries(value).slice(0, 12);
  return [way, ...members.flatMap(([name, member]) => waysInto(member, [...way, name]))];
}

test('a certificate, or a question, of any form is judged, and no reason to fail', () => {
  const change = (text: string, way: readonly string[], to: unknown): string => {
    const whole = JSON.parse(text) as Record<string, unknown>;
    const at = way
      .slice(0, -1)
      .reduce<Record<string, unknown>>((one, name) => one[name] as never, whole);
    at[way.at(-1) ?? ''] = to;
    return `${canonicalize(whole)}\n`;
  };
  let judged = 0;
  for (const file of [FILES.certificate, FILES.question])
    for (const way of waysInto(JSON.parse(textOfFile(bench.whole, file))).slice(1))
      for (const to of [null, 'Mars/Olympus', [null], 1e300]) {
        const forged = forgeBundle(bench.whole, {
          [file]: (text) => change(text, way, to),
          [FILES.certificate]: (text) =>
            change(
              file === FILES.certificate ? change(text, way, to) : text,
              ['verifier'],
              `sealtrail ${VERSION}`,
            ),
        });
        compareReport(forged, { ...bench.check(forged), time: '2026-11-26T12:00:00.000Z' });
        judged += 1;
      }
  expect(judged).toBeGreaterThan(200);
});

test('a stream that is certified twice is named', async () => {
  const forged = await remake(bench.whole, {}, () => {
    const { streams } = certificateOf(bench.whole);
    return { streams: [...streams, ...streams] };
  });
  expect(bench.check(forged).finding).toContain('a stream is certified twice');
});

test('a report that says something else than rows and certificate is told as that', async () => {
  const path = join(bench.dir, `made-${made}`);
  const keys = join(bench.dir, 'all.txt');
  await writeFile(keys, `${bench.store.signer.vkey}\n${bench.auditor.vkey}\n`);
  const run = async (): Promise<string> => {
    const said: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line) => void said.push(String(line)));
    await runCheckBundle(path, { trust: keys });
    log.mockRestore();
    return said.join('\n');
  };
  expect(await run()).toContain('report.html says what rows and certificate say');
  const file = join(path, FILES.html);
  const html = await readFile(file, 'utf8');
  await writeFile(file, html.replace('Answer</h2>', 'Answer: nobody was ever denied</h2>'));
  const forged = forgeBundle(await readFolder(path), {});
  await writeFile(join(path, FILES.manifest), forged.get(FILES.manifest)!);
  expect(await run()).toContain('report.html is not what comes of these rows');
});
