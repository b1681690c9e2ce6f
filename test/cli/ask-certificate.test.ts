/** `sealtrail ask`, the program itself: each answer has its certificate, and `--export` is evidence that stands alone. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FILES, TIMED } from '../../auditor/bundle/names.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import {
  ACME,
  createSigner,
  openEvidenceStore,
  type EvidenceStore,
} from '../auditor/evidence-store.ts';
import { runCli, type Ran } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { makeTempDir } from '../support/ledger.ts';

let bench: EvidenceStore;
let temp: Awaited<ReturnType<typeof makeTempDir>>;
const file = (name: string): string => join(temp.path, name);

beforeAll(async () => {
  [bench, temp] = await Promise.all([openEvidenceStore(), makeTempDir()]);
  await writeFile(file('keys.txt'), `${bench.signer.vkey}\n`);
  await writeFile(file('other.txt'), `${createSigner().vkey}\n`);
});
afterAll(async () => {
  await temp[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

/** Ten rows of two days. */
const ask = (...words: readonly string[]): Promise<Ran> =>
  runCli([
    ...[
      'ask',
      'actor-activity',
      '--actor',
      'u-1',
      '--since',
      '2026-03-02',
      '--until',
      '2026-03-03',
    ],
    ...['--store', bench.alice, ...words],
  ]);
const check = (...words: readonly string[]): Promise<Ran> =>
  runCli(['check', ...words, '--trust', file('keys.txt')]);

test('an answer ends with its certificate; a program gets both at once, and CSV is CSV alone', async () => {
  const [table, json, csv, bare] = await Promise.all([
    ask('--trust', file('keys.txt')),
    ask('--trust', file('keys.txt'), '--json', '--limit', '4'),
    ask('--csv'),
    ask('--no-certify'),
  ]);
  expect([table.code, table.stdout]).toEqual([
    0,
    expect.stringMatching(
      /^Time [^]*\nproven {6}[^]*the agent signed \(sealtrail\/test\+[^]*\nnot proven {2}[^]*\nIntact: [^\n]+\n$/,
    ),
  ]);
  const { rows, certificate } = JSON.parse(json.stdout) as {
    rows: object[];
    certificate: Certificate;
  };
  // Of the whole answer, whatever page is shown.
  expect([json.code, rows.length]).toEqual([0, 4]);
  expect(certificate).toMatchObject({ verdict: 'intact', login: 'alice', rows: { count: 10 } });
  const lines = csv.stdout.split('\r\n');
  expect([csv.code, lines.length, lines[11]]).toEqual([0, 12, '']);
  expect(csv.stderr).toMatch(/not proven [^]*\nIntact: /);
  expect(bare.code).toBe(0);
  expect(bare.stdout + bare.stderr).not.toMatch(/intact|proven/i);
});

test('a record that was changed turns the exit code to 1 and is named by its row; put back, it is 0 again', async () => {
  const victim = bench.records[31]!;
  const { seq } = victim.event.chain;
  const put = (text: string): Promise<void> =>
    bench.tamper('UPDATE audit.records SET event_bytes = $1 WHERE event_id = $2', [
      text,
      victim.event.event_id,
    ]);
  await put(victim.eventText.replace('"amount":31', '"amount":30'));
  const [table, json, all, exported] = await Promise.all([
    ask(),
    ask('--json'),
    ask('--all', '--csv'),
    ask('--export', file('broken.zip')),
  ]);
  await put(victim.eventText);
  expect([table.code, table.stdout]).toEqual([
    1,
    expect.stringContaining(`BROKEN at row 2, record ${ACME} seq ${seq}: `),
  ]);
  expect(table.stdout).not.toMatch(/^proven/m);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    certificate: { verdict: 'broken', findings: [{ rows: [2], stream: ACME, seq }] },
  });
  expect([all.code, all.stderr]).toEqual([1, expect.stringContaining('BROKEN at row 2')]);
  expect(exported.code).toBe(1);
  const judged = await check(file('broken.zip'));
  expect([judged.code, judged.stdout]).toEqual([1, expect.stringContaining('BROKEN at row 2')]);
  expect((await ask()).code).toBe(0);
});

/** A connection that was given up takes its time to be gone from the server. */
async function whenNobodyCertifies(): Promise<void> {
  await eventually(async () => {
    const left = await bench.admin.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'sealtrail certificate'`,
    );
    expect(left.rowCount).toBe(0);
  });
}

test('rows that are printed, and are not those that were certified, are no success', async () => {
  expect((await ask('--json')).code).toBe(0);
  // Kept back from whoever reads, and shown to whoever certifies.
  await bench.admin
    .query(`CREATE POLICY hiding ON audit.records AS RESTRICTIVE FOR SELECT TO sealtrail_auditor
    USING (seq <> 31 OR EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'sealtrail certificate'))`);
  for (const form of [[], ['--csv'], ['--json'], ['--all', '--csv']]) {
    await whenNobodyCertifies();
    const { code, stdout, stderr } = await ask(...form);
    expect([form, code, stderr]).toEqual([
      form,
      2,
      expect.stringContaining(
        'Cannot tell: the rows that are shown are not those that were certified',
      ),
    ]);
    if (form[0] === '--json') expect(JSON.parse(stdout)).toMatchObject({ is_certified: false });
  }
  await bench.admin.query('DROP POLICY hiding ON audit.records');
  expect(JSON.parse((await ask('--json')).stdout)).toMatchObject({ is_certified: true });
});

test('another tenant is refused with 1, and there is no bundle of it; what cannot be told is 2', async () => {
  const [other, distrusted, none] = await Promise.all([
    ask('--tenant', 'zeta', '--export', file('zeta.zip')),
    ask('--trust', file('other.txt')),
    ask('--trust', file('nowhere.txt')),
  ]);
  expect([other.code, other.stdout]).toEqual([1, '']);
  expect(other.stderr).toContain('may not see tenant zeta; the attempt is on record');
  await expect(readFile(file('zeta.zip'))).rejects.toThrow('ENOENT');
  expect([distrusted.code, distrusted.stdout]).toEqual([
    2,
    expect.stringMatching(/\nCannot tell: /),
  ]);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('no certificate: ')]);
});

test('an export is judged without the store; the same question gives the same bytes, but for the files that state the time', async () => {
  const made = await runCli(['auditor-key', file('alice.key'), '--name', 'auditor/alice']);
  await writeFile(file('both.txt'), `${bench.signer.vkey}\n${made.stdout}`);
  const flags = ['--trust', file('keys.txt'), '--certificate-key', file('alice.key')];
  const first = await ask('--export', file('one.zip'), ...flags);
  const second = await ask('--export', file('two.zip'), ...flags);
  for (const { code, stdout } of [first, second])
    expect([code, stdout]).toEqual([0, expect.stringMatching(/Intact: [^\n]+\nwritten: /)]);
  const judged = await runCli(['check', file('one.zip'), '--trust', file('both.txt')]);
  expect([judged.code, judged.stdout]).toEqual([0, expect.stringMatching(/\nIntact: [^\n]+\n$/)]);
  expect(judged.stdout).toContain('auditor/alice+');
  const [one, two] = await Promise.all(
    ['one.zip', 'two.zip'].map(async (name) => unzipSync(await readFile(file(name)))),
  );
  expect(Object.keys(two!).sort()).toEqual(Object.keys(one!).sort());
  const same = Object.keys(one!).filter((name) => !TIMED.has(name));
  expect(same).toEqual(expect.arrayContaining([FILES.certificate, FILES.csv, FILES.question]));
  for (const name of same) expect([name, two![name]]).toEqual([name, one![name]]);
  // What is there is not written over.
  const again = await ask('--export', file('one.zip'));
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('no certificate: ')]);
});
