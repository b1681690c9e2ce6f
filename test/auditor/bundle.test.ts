/** An evidence bundle: what is in it, that it checks out by itself, and that whoever changes it is seen. */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { canReadPdf } from '../support/host.ts';
import { formatCsvRow } from '../../auditor/csv.ts';
import { FILES, TIMED } from '../../auditor/bundle/names.ts';
import { unzipBundle } from '../../auditor/bundle/unzip.ts';
import { writeBundle, type BundleOptions } from '../../auditor/bundle/write.ts';
import { formatCertificate, type Certificate } from '../../auditor/certificate/certificate.ts';
import { writeCertificateNote } from '../../auditor/certificate/note.ts';
import { checkBundle, type BundleCheck } from '../../auditor/check/bundle.ts';
import { sha256Of, type BundleFiles } from '../../auditor/check/files.ts';
import { runCheckBundle } from '../../cli/check-bundle.ts';
import { verifyProof } from '../../ledger/proof-file.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { makeTempDir } from '../support/ledger.ts';
import {
  ASKED,
  COLUMNS,
  createSigner,
  openEvidenceStore,
  readRows,
  STATEMENT,
  trustOf,
  type EvidenceStore,
} from './evidence-store.ts';

let bench: EvidenceStore;
let temp: Awaited<ReturnType<typeof makeTempDir>>;
let whole: BundleFiles;
let whole2: BundleFiles;
const auditor = createSigner('auditor/alice');

beforeAll(async () => {
  bench = await openEvidenceStore();
  temp = await makeTempDir();
  await write(join(temp.path, 'one'));
  whole = await readFolder(join(temp.path, 'one'));
  await write(join(temp.path, 'two'), { time: '2026-11-27T09:00:00.000Z' });
  whole2 = await readFolder(join(temp.path, 'two'));
});
afterAll(async () => {
  await temp[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

async function write(path: string, over: Partial<BundleOptions> = {}): Promise<Certificate> {
  const client = new pg.Client(bench.alice);
  await client.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return await writeBundle({
      ...{ client, path, asked: ASKED, statement: STATEMENT, columns: COLUMNS },
      title: 'What did this actor do?',
      rows: await readRows(client, STATEMENT),
      known: null,
      trust: trustOf(bench.signer),
      verifier: 'sealtrail test',
      signer: auditor,
      time: '2026-11-26T12:00:00.000Z',
      ...over,
    });
  } finally {
    await client.end();
  }
}

async function readFolder(dir: string): Promise<BundleFiles> {
  const files = new Map<string, Uint8Array>();
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name);
      files.set(path.slice(dir.length + 1), await readFile(path));
    }
  return files;
}

/** A copy with files changed, and the manifest made anew, as somebody does who knows what it is for. */
function forge(
  changes: Readonly<Record<string, string | ((text: string) => string) | null>>,
): BundleFiles {
  const files = new Map(whole);
  for (const [name, change] of Object.entries(changes)) {
    const before = Buffer.from(files.get(name) ?? '').toString();
    if (change === null) files.delete(name);
    else files.set(name, Buffer.from(typeof change === 'string' ? change : change(before)));
  }
  files.delete(FILES.manifest);
  const lines = [...files].map(([name, bytes]) => `${sha256Of(bytes)}  ${name}\n`).sort();
  return files.set(FILES.manifest, Buffer.from(lines.join('')));
}

const check = (files: BundleFiles): BundleCheck =>
  checkBundle(files, trustOf(bench.signer, auditor));
const failedOf = ({ lines }: BundleCheck): string[] =>
  lines
    .filter(({ state }) => state === 'failed')
    .map(({ what, row }) => `${what} ${row ?? ''}`.trim());
const certificateOf = (files: BundleFiles): Certificate =>
  JSON.parse(Buffer.from(files.get(FILES.certificate) ?? '').toString()) as Certificate;

describe('a whole bundle', () => {
  test('checks out by itself, and names what each file is', () => {
    const result = check(whole);
    expect(failedOf(result)).toEqual([]);
    expect(result).toMatchObject({ verdict: 'intact', time: '2026-11-26T12:00:00.000Z' });
    expect(result.signers).toEqual([`auditor/alice+${auditor.id}`]);
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
    const readme = Buffer.from(whole.get(FILES.readme)!).toString();
    for (const name of [...whole.keys()].filter((one) => one !== FILES.readme))
      expect(readme).toContain(name.replace(/\/.*/, '/'));
  });

  test('holds a proof of each row that sealtrail check takes by itself', () => {
    const proofs = [...whole].filter(([name]) => name.startsWith('proofs/'));
    expect(proofs).toHaveLength(10);
    for (const [, bytes] of proofs) {
      const said = verifyProof(Buffer.from(bytes).toString(), trustOf(bench.signer));
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
    await write(join(temp.path, 'again'));
    expect(await readFolder(join(temp.path, 'again'))).toEqual(whole);
    for (const name of ['a.zip', 'b.zip']) await write(join(temp.path, name));
    const [a, b] = await Promise.all(
      ['a.zip', 'b.zip'].map((name) => readFile(join(temp.path, name))),
    );
    expect(a!.equals(b!)).toBe(true);
    const files = unzipBundle(a!);
    expect(files.ok && check(files.value).verdict).toBe('intact');
    expect((await readdir(temp.path)).filter((name) => name.endsWith('.parts'))).toEqual([]);
  });

  test('is written over nothing', async () => {
    await expect(write(join(temp.path, 'one'))).rejects.toThrow('is not empty');
    await writeFile(join(temp.path, 'there.zip'), '');
    await expect(write(join(temp.path, 'there.zip'))).rejects.toThrow('is there already');
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
      const client = new pg.Client(bench.alice);
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
    const made = await write(join(forged.path, 'b'), { rows });
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

describe('a bundle that was changed', () => {
  test.each([
    ...'README.txt rows.csv rows.ndjson certificate.json report.html keys.txt ranges/000.txt'.split(
      ' ',
    ),
  ])('one byte of %s: the manifest says so', (name) => {
    const files = new Map(whole);
    const bytes = Buffer.from(files.get(name)!);
    bytes[bytes.length - 3]! ^= 1;
    files.set(name, bytes);
    expect(check(files)).toMatchObject({ verdict: 'broken' });
    expect(failedOf(check(files))).toContain('manifest');
  });

  test('a file that is missing, added, or in no bundle', () => {
    const without = new Map(whole);
    without.delete(FILES.pdf);
    expect(failedOf(check(without))).toEqual(['manifest']);
    expect(failedOf(check(new Map([...whole, ['notes.txt', new Uint8Array()]])))).toEqual([
      'manifest',
    ]);
    expect(failedOf(check(forge({ '../evil': 'x' })))).toEqual(['manifest']);
    expect(check(new Map()).verdict).toBe('broken');
  });

  test('an edited record, with the manifest made anew: the row is named', () => {
    const result = check(
      forge({ [FILES.rows]: (text) => text.replace('\\"amount\\":36', '\\"amount\\":37') }),
    );
    expect(result.finding).toMatch(/^BROKEN at row 3: the event does not have the hash/);
  });

  test('an edited cell, in table and rows alike, and all digests made anew: the row is named', () => {
    const edit = (text: string): string =>
      text.replace(/(u-1"?,"?)customer\.export/, '$1customer.read');
    const rows = edit(Buffer.from(whole.get(FILES.rows)!).toString());
    const certificate = certificateOf(whole);
    const forged = formatCertificate({
      ...certificate,
      rows: { ...certificate.rows, sha256: sha256Of(Buffer.from(rows)) },
    });
    const result = check(
      forge({ [FILES.rows]: rows, [FILES.csv]: edit, [FILES.certificate]: forged }),
    );
    expect(result.finding).toMatch(/^BROKEN at row 1: the column Action shows something else/);
    expect(failedOf(result)).toContain('certificate');
  });

  test('a table that says something else than the rows', () => {
    const result = check(
      forge({ [FILES.csv]: (text) => text.replace('customer.export', 'customer.read') }),
    );
    expect(failedOf(result)).toEqual(['table 1']);
    expect(failedOf(check(forge({ [FILES.csv]: (text) => `${text}11,extra\r\n` })))).toEqual([
      'table',
    ]);
  });

  test('rows that were taken out, or put in another order', () => {
    const lines = Buffer.from(whole.get(FILES.rows)!)
      .toString()
      .split(/(?<=\n)/);
    expect(failedOf(check(forge({ [FILES.rows]: lines.slice(0, -1).join('') })))).toContain('rows');
    expect(failedOf(check(forge({ [FILES.rows]: lines.toReversed().join('') })))).toContain(
      'rows 1',
    );
  });

  test('rows left out and all made to fit, without the auditor’s key: it is said that nobody vouches for it', async () => {
    expect(check(whole).finding).toBe(certificateOf(whole).finding);
    const certificate = certificateOf(whole);
    const left = Buffer.from(whole.get(FILES.rows)!)
      .toString()
      .split(/(?<=\n)/)
      .slice(0, -1);
    const csv = Buffer.from(whole.get(FILES.csv)!)
      .toString()
      .split(/(?<=\r\n)/)
      .slice(0, -1);
    const rows = {
      count: left.length,
      records: left.length,
      sha256: sha256Of(Buffer.from(left.join(''))),
    };
    const finding = 'Intact: this is all that there is.';
    const text = formatCertificate({ ...certificate, rows, finding });
    for (const signer of [null, createSigner('auditor/alice')]) {
      const note = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', signer);
      const result = check(
        forge({
          [FILES.certificate]: text,
          [FILES.note]: note,
          [FILES.rows]: left.join(''),
          [FILES.csv]: csv.join(''),
          [`proofs/${String(left.length + 1).padStart(6, '0')}.proof`]: null,
        }),
      );
      expect(failedOf(result)).toEqual([]);
      expect(result.finding).toContain('is signed by nobody whom you trust');
      expect(result.finding).not.toContain('all that there is');
    }
  });

  test('nothing in it steers the terminal on which it is checked', async () => {
    const text = Buffer.from(whole.get(FILES.question)!).toString();
    const question = text.replace('What did', '\\u001b[2J\\rIntact\\u202e What did');
    const path = join(temp.path, 'steering.zip');
    await writeFile(path, zipSync(Object.fromEntries(forge({ [FILES.question]: question }))));
    const said: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line) => void said.push(String(line)));
    await runCheckBundle(path, {});
    log.mockRestore();
    expect(said.join('\n')).toContain('Intact\\u{202e} What did this actor do?');
    expect(said.filter((line) => /[\p{Cc}\p{Cf}]/u.test(line))).toEqual([]);
  });

  test('an answer made of nothing: no record of the agent stands behind it, and nothing can be told', async () => {
    const rows = { count: 0, records: 0, sha256: sha256Of(new Uint8Array()) };
    const text = formatCertificate({ ...certificateOf(whole), rows, streams: [] });
    const note = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
    const csv = Buffer.from(whole.get(FILES.csv)!)
      .toString()
      .split(/(?<=\r\n)/)[0]!;
    const others = [...whole.keys()].filter((name) => /^(ranges|checkpoints|proofs)\//.test(name));
    const result = check(
      forge({
        ...Object.fromEntries(others.map((name) => [name, null])),
        ...{ [FILES.certificate]: text, [FILES.note]: note, [FILES.rows]: '', [FILES.csv]: csv },
      }),
    );
    expect(failedOf(result)).toEqual([]);
    expect(result.verdict).toBe('cannot_tell');
  });

  test('a certificate of another question, or one that claims more than it can show', async () => {
    const other = new Map(whole2);
    const question = Buffer.from(other.get(FILES.question)!).toString().replace('"u-1"', '"u-2"');
    expect(failedOf(check(forge({ [FILES.question]: question })))).toContain('question');
    const certificate = certificateOf(whole);
    const [proof] = certificate.streams;
    for (const changed of [
      { ...proof!, to: proof!.to + 1 },
      { ...proof!, after: null },
      { ...proof!, before: proof!.after },
      { ...proof!, tree: { ...proof!.tree!, root: '0'.repeat(64) } },
      { ...proof!, tree: { ...proof!.tree!, size: 101 } },
      { ...proof!, tree: { ...proof!.tree!, right: [] } },
      { ...proof!, tree: { ...proof!.tree!, left: proof!.tree!.left.toReversed() } },
    ]) {
      const text = formatCertificate({ ...certificate, streams: [changed] });
      const note = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
      const result = check(forge({ [FILES.certificate]: text, [FILES.note]: note }));
      expect(result.verdict, JSON.stringify(changed)).toBe('broken');
    }
  });

  test('a checkpoint by another hand', async () => {
    const stranger = createSigner();
    const certificate = certificateOf(whole);
    const { checkpointOf } = await import('./evidence-store.ts');
    const { note } = await checkpointOf(bench.records, 100, stranger);
    const text = formatCertificate({
      ...certificate,
      streams: certificate.streams.map((one) => ({ ...one, checkpoint: note })),
    });
    const signed = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
    const result = check(
      forge({ [FILES.certificate]: text, [FILES.note]: signed, 'checkpoints/000.note': note }),
    );
    expect(result.verdict).toBe('cannot_tell');
  });

  test('a signature that the trusted key did not make', async () => {
    const certificate = certificateOf(whole);
    const note = certificate.streams[0]!.checkpoint!;
    const at = note.length - 40;
    const wrong = `${note.slice(0, at)}${note[at] === 'A' ? 'B' : 'A'}${note.slice(at + 1)}`;
    const text = formatCertificate({
      ...certificate,
      streams: certificate.streams.map((one) => ({ ...one, checkpoint: wrong })),
    });
    const over = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
    const result = check(
      forge({ [FILES.certificate]: text, [FILES.note]: over, 'checkpoints/000.note': wrong }),
    );
    expect(failedOf(result)).toEqual(['checkpoint']);
  });

  test('a note by a forger who uses the name of the auditor', async () => {
    const text = Buffer.from(whole.get(FILES.certificate)!).toString();
    const note = await writeCertificateNote(
      text,
      'intact',
      '2020-01-01T00:00:00.000Z',
      createSigner('auditor/alice'),
    );
    const result = check(forge({ [FILES.note]: note }));
    expect(result.lines.find(({ what }) => what === 'certificate')).toMatchObject({
      state: 'open',
    });
    const swapped = note.replace(
      /\n\n.*/s,
      Buffer.from(whole.get(FILES.note)!)
        .toString()
        .replace(/.*\n\n/s, '\n\n'),
    );
    expect(failedOf(check(forge({ [FILES.note]: swapped })))).toEqual(['certificate']);
  });

  test.each(['', '{}', 'null', '[]', '{"_v":"sealtrail/certificate/v1"}'])(
    'a certificate that is %j is no certificate',
    (text) => {
      expect(check(forge({ [FILES.certificate]: text })).verdict).toBe('broken');
    },
  );
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
    const dir = join(temp.path, 'linked');
    await mkdir(dir);
    await symlink('/etc/passwd', join(dir, FILES.rows));
    expect(await runCheckBundle(dir, {})).toBe(2);
    await rm(dir, { recursive: true });
    const keys = join(temp.path, 'keys');
    await writeFile(keys, `${bench.signer.vkey}\n`);
    expect(await runCheckBundle(join(temp.path, 'one'), { trust: keys })).toBe(0);
    expect(await runCheckBundle(join(temp.path, 'one'), {})).toBe(2);
    await writeFile(join(temp.path, 'two', FILES.csv), 'x');
    expect(await runCheckBundle(join(temp.path, 'two'), { trust: keys })).toBe(1);
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
  await write(join(out.path, 'b'), { rows, title: `Who is ${names}?` });
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
  const text = Buffer.from(whole.get(FILES.question)!).toString();
  expect(`${canonicalize(JSON.parse(text))}\n`).toBe(text);
});
