/** An evidence bundle that somebody has changed, or made up: it is seen, and nothing of it does harm. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { FILES } from '../../auditor/bundle/names.ts';
import { formatCertificate } from '../../auditor/certificate/certificate.ts';
import { writeCertificateNote } from '../../auditor/certificate/note.ts';
import { sha256Of, type BundleFiles } from '../../auditor/check/files.ts';
import { runCheckBundle } from '../../cli/check-bundle.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { openBundleBench, type BundleBench } from './bundle-bench.ts';
import { certificateOf, failedOf, forgeBundle, textOfFile, type Changes } from './bundle-files.ts';
import { checkpointOf, createSigner } from './evidence-store.ts';

let bench: BundleBench;
let whole: BundleFiles;
let whole2: BundleFiles;
let check: BundleBench['check'];

/** As somebody does who knows what the manifest is for. */
const forge = (changes: Changes): BundleFiles => forgeBundle(whole, changes);

beforeAll(async () => {
  bench = await openBundleBench();
  ({ whole, whole2, check } = bench);
});
afterAll(() => bench[Symbol.asyncDispose]());

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
      text.replace(/(u-1"?,(?:null,"|,))customer\.export/, '$1customer.read');
    const rows = edit(textOfFile(whole, FILES.rows));
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
    const lines = textOfFile(whole, FILES.rows).split(/(?<=\n)/);
    expect(failedOf(check(forge({ [FILES.rows]: lines.slice(0, -1).join('') })))).toContain('rows');
    expect(failedOf(check(forge({ [FILES.rows]: lines.toReversed().join('') })))).toContain(
      'rows 1',
    );
  });

  test('rows left out and all made to fit, without the auditor’s key: it is said that nobody vouches for it', async () => {
    expect(check(whole).finding).toBe(certificateOf(whole).finding);
    const certificate = certificateOf(whole);
    const left = textOfFile(whole, FILES.rows)
      .split(/(?<=\n)/)
      .slice(0, -1);
    const csv = textOfFile(whole, FILES.csv)
      .split(/(?<=\r\n)/)
      .slice(0, -1);
    const rows = {
      count: left.length,
      records: left.length,
      sha256: sha256Of(Buffer.from(left.join(''))),
    };
    const finding = 'Intact: this is all that there is.';
    const judged = { by: 'rows' as const, matching: left.length, repeated: 0, masked: 0 };
    const text = formatCertificate({ ...certificate, rows, judged, finding });
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

  test('a column under another’s title, or one that the question does not have', async () => {
    for (const [from, to] of [
      ['"title":"Acting as"', '"title":"Actor"'],
      ['"name":"on_behalf_of","title":"Acting as"', '"name":"who","title":"Actor"'],
    ] as const) {
      const csv = (text: string): string =>
        text.replace('on_behalf_of', to.includes('who') ? 'who' : 'on_behalf_of');
      const result = check(
        forge({ [FILES.question]: (text) => text.replace(from, to), [FILES.csv]: csv }),
      );
      expect(failedOf(result)).toEqual(['question']);
      expect(result.finding).toContain('the question has no column Actor');
    }
  });

  test('a record that answers another question, with all that shows it: the row is named', async () => {
    const certificate = certificateOf(whole);
    const asked = {
      ...certificate.asked,
      parameters: { ...certificate.asked.parameters, actor: 'u-2' },
    };
    const text = formatCertificate({ ...certificate, asked });
    const note = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
    const question = (said: string): string =>
      `${canonicalize({ ...(JSON.parse(said) as object), asked } as never)}\n`;
    const result = check(
      forge({ [FILES.certificate]: text, [FILES.note]: note, [FILES.question]: question }),
    );
    expect(result.finding).toBe('BROKEN at row 1: the record does not answer the question.');
  });

  test('without the auditor’s key it is marked, and refused where a signature is asked for', async () => {
    const keys = join(bench.dir, 'agent.txt');
    const both = join(bench.dir, 'both.txt');
    await writeFile(keys, `${bench.store.signer.vkey}\n`);
    await writeFile(both, `${bench.store.signer.vkey}\n${bench.auditor.vkey}\n`);
    const said: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line) => void said.push(String(line)));
    const run = async (trust: string, requireSignature: boolean): Promise<[number, string]> => {
      said.length = 0;
      const code = await runCheckBundle(join(bench.dir, 'one'), { trust, requireSignature });
      return [code, said.join('\n')];
    };
    const [marked, refused, vouched] = [
      await run(keys, false),
      await run(keys, true),
      await run(both, true),
    ];
    log.mockRestore();
    expect(marked).toEqual([0, expect.stringMatching(/^UNSIGNED: [^]*\nIntact, and UNSIGNED: /m)]);
    expect(refused).toEqual([
      2,
      expect.stringMatching(/\nCannot tell: no key that you trust has signed/),
    ]);
    expect(vouched).toEqual([0, expect.not.stringContaining('UNSIGNED')]);
  });

  test('nothing in it steers the terminal on which it is checked', async () => {
    const login = '\u001b[2J\rIntact\u202e alice';
    const text = formatCertificate({ ...certificateOf(whole), login });
    const note = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
    const path = join(bench.dir, 'steering.zip');
    const changed = forge({ [FILES.certificate]: text, [FILES.note]: note });
    await writeFile(path, zipSync(Object.fromEntries(changed)));
    const said: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line) => void said.push(String(line)));
    await runCheckBundle(path, {});
    log.mockRestore();
    expect(said.join('\n')).toContain('Intact\\u{202e} alice');
    expect(said.filter((line) => /[\p{Cc}\p{Cf}]/u.test(line))).toEqual([]);
  });

  test('an answer made of nothing: no record of the agent stands behind it, and nothing can be told', async () => {
    const rows = { count: 0, records: 0, sha256: sha256Of(new Uint8Array()) };
    const judged = { by: 'rows' as const, matching: 0, repeated: 0, masked: 0 };
    const text = formatCertificate({ ...certificateOf(whole), rows, judged, streams: [] });
    const note = await writeCertificateNote(text, 'intact', '2026-11-26T12:00:00.000Z', null);
    const csv = textOfFile(whole, FILES.csv).split(/(?<=\r\n)/)[0]!;
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
    const question = textOfFile(other, FILES.question).replace('"u-1"', '"u-2"');
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
    const { note } = await checkpointOf(bench.store.records, 100, stranger);
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
    const text = textOfFile(whole, FILES.certificate);
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
      textOfFile(whole, FILES.note).replace(/.*\n\n/s, '\n\n'),
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
