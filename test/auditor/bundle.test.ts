/** An evidence bundle: what is in it, that it checks out by itself, and what is none. Who changes it: bundle-forged.test.ts. */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FILES, TIMED } from '../../auditor/bundle/names.ts';
import { unzipBundle } from '../../auditor/bundle/unzip.ts';
import { checkBundle } from '../../auditor/check/bundle.ts';
import type { BundleFiles } from '../../auditor/check/files.ts';
import { formatCsvRow } from '../../auditor/csv.ts';
import { runCheckBundle } from '../../cli/check-bundle.ts';
import { verifyProof } from '../../ledger/proof-file.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { canReadPdf } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';
import { openBundleBench, type BundleBench } from './bundle-bench.ts';
import { certificateOf, failedOf, readFolder, textOfFile } from './bundle-files.ts';
import { createSigner, readRows, STATEMENT, trustOf } from './evidence-store.ts';

let bench: BundleBench;
let whole: BundleFiles;
let whole2: BundleFiles;
let check: BundleBench['check'];

beforeAll(async () => {
  bench = await openBundleBench();
  ({ whole, whole2, check } = bench);
});
afterAll(() => bench[Symbol.asyncDispose]());

describe('a whole bundle', () => {
  test('checks out by itself, and names what each file is', () => {
    const result = check(whole);
    expect(failedOf(result)).toEqual([]);
    expect(result).toMatchObject({ verdict: 'intact', time: '2026-11-26T12:00:00.000Z' });
    expect(result.signers).toEqual([`auditor/alice+${bench.auditor.id}`]);
    expect(result.lines.every(({ state }) => state === 'ok')).toBe(true);
    expect(new Set(result.lines.map(({ what }) => what))).toEqual(
      new Set([
        'manifest',
        'question',
        'rows',
        'table',
        'range',
        'checkpoint',
        'proofs',
        'certificate',
      ]),
    );
    const readme = textOfFile(whole, FILES.readme);
    for (const name of [...whole.keys()].filter((one) => one !== FILES.readme))
      expect(readme).toContain(name.replace(/\/.*/, '/'));
  });

  test('holds a proof of each row that sealtrail check takes by itself', () => {
    const proofs = [...whole].filter(([name]) => name.startsWith('proofs/'));
    expect(proofs).toHaveLength(10);
    for (const [, bytes] of proofs) {
      const said = verifyProof(Buffer.from(bytes).toString(), trustOf(bench.store.signer));
      expect(said).toMatchObject({ ok: true, value: { size: 100n } });
    }
  });

  test('is byte for byte the same when the question is asked again, but for what states the time', () => {
    expect([...whole2.keys()].sort()).toEqual([...whole.keys()].sort());
    const other = [...whole].filter(
      ([name, bytes]) => !Buffer.from(bytes).equals(whole2.get(name)!),
    );
    expect(new Set(other.map(([name]) => name))).toEqual(TIMED);
  });

  test('of one time is the same to the last byte, as a folder and as a zip', async () => {
    await bench.write(join(bench.dir, 'again'));
    expect(await readFolder(join(bench.dir, 'again'))).toEqual(whole);
    for (const name of ['a.zip', 'b.zip']) await bench.write(join(bench.dir, name));
    const [a, b] = await Promise.all(
      ['a.zip', 'b.zip'].map((name) => readFile(join(bench.dir, name))),
    );
    expect(a!.equals(b!)).toBe(true);
    const files = unzipBundle(a!);
    expect(files.ok && check(files.value).verdict).toBe('intact');
    expect((await readdir(bench.dir)).filter((name) => name.endsWith('.parts'))).toEqual([]);
  });

  test('is written over nothing', async () => {
    await expect(bench.write(join(bench.dir, 'one'))).rejects.toThrow('is not empty');
    await writeFile(join(bench.dir, 'there.zip'), '');
    await expect(bench.write(join(bench.dir, 'there.zip'))).rejects.toThrow('is there already');
  });

  test('proves nothing to somebody who trusts no key, or another one', () => {
    expect(checkBundle(whole, null)).toMatchObject({ verdict: 'cannot_tell' });
    const other = checkBundle(whole, trustOf(createSigner()));
    expect(other.verdict).toBe('cannot_tell');
    expect(failedOf(other)).toEqual([]);
  });

  test('of a store that was tampered with says so, and checks out as the evidence of that', async () => {
    await using forged = await makeTempDir();
    const [first] = whole.size > 0 ? [certificateOf(whole)] : [];
    const rows = await (async () => {
      const client = new pg.Client(bench.store.alice);
      await client.connect();
      const found = await readRows(client, STATEMENT);
      await client.end();
      return found.map((row, at) =>
        at === 4 && row.record !== null
          ? {
              ...row,
              record: {
                ...row.record,
                event_bytes: row.record.event_bytes.replace('"amount":46', '"amount":47'),
              },
            }
          : row,
      );
    })();
    const made = await bench.write(join(forged.path, 'b'), { rows });
    expect(made.finding).toMatch(/^BROKEN at row 5, record /);
    expect(made.rows.sha256).not.toBe(first?.rows.sha256);
    const result = check(await readFolder(join(forged.path, 'b')));
    expect(result.verdict).toBe('broken');
    expect(result.finding).toContain('row 5');
    const html = await readFile(join(forged.path, 'b', FILES.html), 'utf8');
    expect(html).toContain('BROKEN at row 5');
    expect(html).toContain('<tr class="bad"><td class="n">5</td>');
  });
});

describe('a hostile zip', () => {
  const entries = (): Record<string, Uint8Array> => Object.fromEntries(whole);

  test('names that lead out of the folder are refused', () => {
    for (const name of ['../../etc/passwd', '/etc/passwd', 'proofs/../../x', 'a\\b'])
      expect(unzipBundle(zipSync({ ...entries(), [name]: new Uint8Array(1) }))).toMatchObject({
        ok: false,
        error: expect.stringContaining('does not belong') as string,
      });
  });

  test('a name that stands twice is refused', () => {
    const zip = Buffer.from(
      zipSync({ MANIFEST: new Uint8Array(3), 'rows.csv': new Uint8Array(3) }),
    );
    for (let at = zip.indexOf('rows.csv'); at !== -1; at = zip.indexOf('rows.csv'))
      zip.write('MANIFEST', at);
    expect(unzipBundle(zip)).toMatchObject({ ok: false, error: 'it holds "MANIFEST" twice' });
  });

  test('a bomb is not unpacked: neither one that states its size, nor one that lies', () => {
    const zip = Buffer.from(zipSync({ 'rows.csv': new Uint8Array(4 << 20) }));
    expect(zip.length).toBeLessThan(40_000);
    const at = zip.indexOf(Buffer.from('PK\u0001\u0002', 'latin1')) + 24;
    const stated = Buffer.from(zip);
    stated.writeUInt32LE(0x7fffffff, at);
    expect(unzipBundle(stated)).toMatchObject({
      ok: false,
      error: expect.stringContaining('larger') as string,
    });
    const lying = Buffer.from(zip);
    lying.writeUInt32LE(16, at);
    const got = unzipBundle(lying);
    expect(got.ok ? got.value.get('rows.csv')!.length : 0).toBeLessThanOrEqual(16);
  });

  test('what is no zip is no bundle', () => {
    expect(unzipBundle(Buffer.from('PK, but not really'))).toMatchObject({ ok: false });
  });

  test('a folder with a link in it is refused, and one that is whole ends with 0', async () => {
    const dir = join(bench.dir, 'linked');
    await mkdir(dir);
    await symlink('/etc/passwd', join(dir, FILES.rows));
    expect(await runCheckBundle(dir, {})).toBe(2);
    await rm(dir, { recursive: true });
    const keys = join(bench.dir, 'keys');
    await writeFile(keys, `${bench.store.signer.vkey}\n`);
    expect(await runCheckBundle(join(bench.dir, 'one'), { trust: keys })).toBe(0);
    expect(await runCheckBundle(join(bench.dir, 'one'), {})).toBe(2);
    await writeFile(join(bench.dir, 'two', FILES.csv), 'x');
    expect(await runCheckBundle(join(bench.dir, 'two'), { trust: keys })).toBe(1);
  });
});

test('no cell of the table is a formula in a spreadsheet', () => {
  const payloads = [
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    ' =1',
    '\u00a0=1',
    '＝1',
    '=cmd|"/C calc"!A0',
    '%0A=1',
    '|calc',
  ];
  for (const [at, payload] of payloads.entries()) {
    const cell = formatCsvRow(1, [payload]).slice(2, -2);
    const text = cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell;
    expect(text, String(at)).toBe(`'${payload}`);
  }
  expect(formatCsvRow(1, ['a', 'b,c', 'd"e', null, -5, 'f\ng'])).toBe(
    '1,a,"b,c","d""e",,-5,"f\ng"\r\n',
  );
});

test('the reports show any letter, and nothing of a row is markup', async () => {
  await using out = await makeTempDir();
  const names = 'Zoë Ødegård Жанна Ελένη Łukasz 王 <script>alert(1)</script> \u202egnp';
  const rows = [
    { values: ['2026-03-02T08:00:00.000Z', names, 'x'.repeat(300), null], record: null },
  ];
  await bench.write(join(out.path, 'b'), { rows, title: `Who is ${names}?` });
  const html = await readFile(join(out.path, 'b', FILES.html), 'utf8');
  expect(html).toContain('Zoë Ødegård Жанна Ελένη Łukasz 王 &#60;script&#62;');
  expect(html).not.toContain('<script');
  expect(html).not.toContain('\u202e');
  expect(html).toContain('2026-03-02 09:00:00 +01:00');
  const pdf = await readFile(join(out.path, 'b', FILES.pdf));
  expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
  if (!canReadPdf()) return;
  const text = spawnSync('pdftotext', ['-layout', join(out.path, 'b', FILES.pdf), '-'], {
    encoding: 'utf8',
  });
  for (const name of ['Zoë', 'Ødegård', 'Жанна', 'Ελένη', 'Łukasz', '[U+738B]'])
    expect(text.stdout).toContain(name);
});

test('the question of a bundle is in the one form in which it is written', () => {
  const text = textOfFile(whole, FILES.question);
  expect(`${canonicalize(JSON.parse(text))}\n`).toBe(text);
});
