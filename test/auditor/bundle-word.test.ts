/** Whose word counts for what: an agent's for records, an auditor's for answers, and nobody else's for anything. */
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { FILES } from '../../auditor/bundle/names.ts';
import { unzipBundle } from '../../auditor/bundle/unzip.ts';
import { createCertificateKey } from '../../auditor/certificate/key.ts';
import { formatCertificate } from '../../auditor/certificate/certificate.ts';
import { writeCertificateNote } from '../../auditor/certificate/note.ts';
import { checkBundle } from '../../auditor/check/bundle.ts';
import { sha256Of, type BundleFiles } from '../../auditor/check/files.ts';
import { judgeProof } from '../../cli/check.ts';
import { isBundle, runCheckBundle } from '../../cli/check-bundle.ts';
import { formatProof, verifyProof } from '../../ledger/proof-file.ts';
import { parseTrust } from '../../ledger/trust.ts';
import type { NoteSigner } from '../../ledger/signing.ts';
import { createSealer } from '../store/sealed.ts';
import { openBundleBench, type BundleBench } from './bundle-bench.ts';
import { certificateOf, failedOf, forgeBundle, readFolder, textOfFile } from './bundle-files.ts';
import { checkpointOf, createSigner, fieldsOf, trustOf } from './evidence-store.ts';

let bench: BundleBench;
beforeAll(async () => {
  bench = await openBundleBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const TIME = '2026-11-26T12:00:00.000Z';

test('an answer is vouched for by an auditor’s key, and not by an agent’s, which may have been replaced and stolen', async () => {
  const text = textOfFile(bench.whole, FILES.certificate);
  const by = async (signer: NoteSigner): Promise<BundleFiles> =>
    forgeBundle(bench.whole, {
      [FILES.note]: await writeCertificateNote(text, 'intact', TIME, signer),
    });
  expect(bench.check(await by(bench.auditor))).toMatchObject({ verdict: 'intact', isSigned: true });
  const said = bench.check(await by(bench.store.signer));
  expect(said).toMatchObject({ isSigned: false });
  expect(said.finding).toContain('UNSIGNED');
  const path = join(bench.dir, 'agent.key');
  expect(await createCertificateKey(path, 'sealtrail/test')).toMatchObject({ ok: false });
  expect(await createCertificateKey(path, 'auditor/test')).toMatchObject({ ok: true });
});

test('a record is vouched for by an agent’s key, and not by an auditor’s', async () => {
  const prove = async (signer: NoteSigner) => {
    const sealer = createSealer(`${signer.name}/${'a'.repeat(32)}/${'1'.repeat(16)}/standard`);
    const record = sealer.seal(fieldsOf(0));
    const { note } = await checkpointOf([record], 1, signer);
    const { eventText, prev_hash, this_hash } = record;
    const line = `{"event":${eventText},"prev_hash":"${prev_hash}","this_hash":"${this_hash}"}`;
    const proof = formatProof({ record: line, checkpoint: note, inclusion: [], anchor: null });
    return verifyProof(proof, trustOf(bench.store.signer, bench.auditor));
  };
  expect(await prove(bench.store.signer)).toMatchObject({ ok: true });
  expect(await prove(bench.auditor)).toMatchObject({ ok: false, error: { kind: 'invalid' } });
});

test('that a store is broken is the word of whoever signed the certificate, and of nobody where nobody did', async () => {
  const finding = 'BROKEN in the range, at record x seq 40: the record of seq 40 is missing.';
  const changed = { verdict: 'broken', finding, proven: [] } as const;
  const text = formatCertificate({ ...certificateOf(bench.whole), ...changed });
  const by = async (signer: NoteSigner | null): Promise<BundleFiles> =>
    forgeBundle(bench.whole, {
      [FILES.certificate]: text,
      [FILES.note]: await writeCertificateNote(text, 'broken', TIME, signer),
    });
  expect(bench.check(await by(bench.auditor))).toMatchObject({ verdict: 'broken', finding });
  for (const signer of [null, createSigner('auditor/alice'), bench.store.signer]) {
    const said = bench.check(await by(signer));
    expect(failedOf(said)).toEqual([]);
    expect(said).toMatchObject({ verdict: 'cannot_tell', isSigned: false });
    expect(said.finding).toContain('no key that you trust has signed it');
  }
});

test('rows that another reader would read otherwise, or that nobody has looked at, are named', async () => {
  const remade = async (change: (text: string) => string): Promise<BundleFiles> => {
    const rows = change(textOfFile(bench.whole, FILES.rows));
    const certificate = certificateOf(bench.whole);
    const sha256 = sha256Of(Buffer.from(rows));
    const text = formatCertificate({ ...certificate, rows: { ...certificate.rows, sha256 } });
    const note = await writeCertificateNote(text, 'intact', TIME, null);
    return forgeBundle(bench.whole, {
      [FILES.rows]: rows,
      [FILES.certificate]: text,
      [FILES.note]: note,
    });
  };
  expect(bench.check(await remade((text) => text)).verdict).toBe('intact');
  for (const [row, change] of [
    [11, (text: string) => `${text}{"record":null,"row":11,"values":["a deed of nobody"]}`],
    [1, (text: string) => text.replace('{"record"', '{"record":null,"record"')],
    [1, (text: string) => text.replace('"row":1,', '"row":1,"say":"more",')],
    [1, (text: string) => text.replace(/("seq":\d+)/, '"remark":"false",$1')],
  ] as const)
    expect(bench.check(await remade(change)).finding).toContain(`BROKEN at row ${row}: the line`);
});

test('the range of one tenant shows nothing of another’s', async () => {
  const empty = async (tenant: string): Promise<BundleFiles> => {
    const certificate = certificateOf(bench.whole);
    const asked = { ...certificate.asked, tenant };
    const rows = { count: 0, records: 0, sha256: sha256Of(new Uint8Array()) };
    const judged = { ...certificate.judged!, matching: 0 };
    const text = formatCertificate({ ...certificate, asked, rows, judged });
    const proofs = [...bench.whole.keys()].filter((name) => name.startsWith('proofs/'));
    return forgeBundle(bench.whole, {
      ...Object.fromEntries(proofs.map((name) => [name, null])),
      [FILES.rows]: '',
      [FILES.csv]: (table) => table.replace(/(?<=\r\n).*/s, ''),
      [FILES.question]: (said) => said.replace('"tenant":"acme"', `"tenant":"${tenant}"`),
      [FILES.certificate]: text,
      [FILES.note]: await writeCertificateNote(text, 'intact', TIME, null),
    });
  };
  // Nobody vouches for the answer; the records are what they are.
  expect(bench.check(await empty('acme')).finding).toContain('Intact, and UNSIGNED');
  const said = bench.check(await empty('zeta'));
  expect(failedOf(said)).toEqual(['range']);
  expect(said.finding).toContain('does not show that the range is whole');
});

test('the keys in a bundle are those that were trusted: with their windows, and without what was revoked', async () => {
  const gone = createSigner();
  const parsed = parseTrust(`${bench.store.signer.vkey} * 0 1000\n${gone.vkey}`);
  if (!parsed.ok) throw new Error(parsed.error);
  const revoked = [{ vkey: gone.vkey, time: TIME, reason: 'stolen' }];
  const path = join(bench.dir, 'revoked');
  await bench.write(path, { trust: { ...parsed.value, revoked } });
  const files = await readFolder(path);
  expect(textOfFile(files, FILES.keys)).toBe(`${bench.store.signer.vkey} * 0 1000\n`);
  const own = parseTrust(textOfFile(files, FILES.keys) + bench.auditor.vkey);
  expect(own.ok && checkBundle(files, own.value).verdict).toBe('intact');
});

test('a folder that somebody has looked at in a desktop is the bundle still', async () => {
  const dir = join(bench.dir, 'looked-at');
  for (const [name, bytes] of bench.whole) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), bytes);
  }
  const keys = join(bench.dir, 'keys.txt');
  await writeFile(keys, `${bench.store.signer.vkey}\n${bench.auditor.vkey}\n`);
  vi.spyOn(console, 'log').mockReturnValue();
  expect(await runCheckBundle(dir, { trust: keys })).toBe(0);
  await writeFile(join(dir, '.DS_Store'), 'x');
  await writeFile(join(dir, 'proofs', '.DS_Store'), 'x');
  expect(await runCheckBundle(dir, { trust: keys })).toBe(0);
  await writeFile(join(dir, 'proofs', 'more.txt'), 'x');
  expect(await runCheckBundle(dir, { trust: keys })).toBe(1);
  vi.restoreAllMocks();
});

test('a file that is longer than any text can be is no reason to fail', async () => {
  const dir = join(bench.dir, 'long');
  await mkdir(dir);
  await writeFile(join(dir, FILES.rows), '');
  // A hole.
  await truncate(join(dir, FILES.rows), 0x20000000);
  const said = vi.spyOn(console, 'log').mockReturnValue();
  expect(await runCheckBundle(dir, {})).toBe(2);
  expect(said.mock.calls.join()).toContain('larger than a bundle that can be checked');
  vi.restoreAllMocks();
  const zip = Buffer.from(zipSync({ 'rows.ndjson': new Uint8Array(1) }));
  expect(unzipBundle(zip)).toMatchObject({ ok: true });
  zip.writeUInt32LE(0x20000000, zip.indexOf(Buffer.from('PK\u0001\u0002', 'latin1')) + 24);
  expect(unzipBundle(zip)).toMatchObject({ ok: false });
});

test('what cannot be read is no bundle, and no reason to fail', async () => {
  const path = join(bench.dir, 'round');
  await symlink(path, path);
  expect(await isBundle(path)).toBe(false);
  expect(await judgeProof(path, {})).toMatchObject({ verdict: 'cannot_tell' });
  expect(await isBundle(bench.dir)).toBe(true);
});

test('as JSON, too, nothing in it steers the terminal, and it says what it says', async () => {
  const login = '\u009b2J\u202e alice \u{e0001}\n';
  const forged = forgeBundle(bench.whole, {
    [FILES.question]: (text) => text.replace('"login":"alice"', `"login":${JSON.stringify(login)}`),
  });
  const path = join(bench.dir, 'steering.zip');
  await writeFile(path, zipSync(Object.fromEntries(forged)));
  const log = vi.spyOn(console, 'log').mockReturnValue();
  await runCheckBundle(path, { json: true });
  const said = String(log.mock.calls[0]?.[0]);
  vi.restoreAllMocks();
  expect(JSON.parse(said)).toMatchObject({ verdict: 'broken', question: { login } });
  expect(said).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
});

test('a zip whose names share their bytes is refused: each of them would be inflated by itself', () => {
  const two = zipSync({ MANIFEST: new Uint8Array(1 << 20), 'rows.csv': new Uint8Array(1 << 20) });
  expect(unzipBundle(two)).toMatchObject({ ok: true });
  const zip = Buffer.from(two);
  const first = zip.indexOf(Buffer.from('PK\u0001\u0002', 'latin1'));
  const second = zip.indexOf(Buffer.from('PK\u0001\u0002', 'latin1'), first + 1);
  // The second name lies where the first does, and the bytes of its own are cut out.
  const start = zip.readUInt32LE(second + 42);
  zip.writeUInt32LE(0, second + 42);
  const shared = Buffer.concat([zip.subarray(0, start), zip.subarray(first)]);
  shared.writeUInt32LE(start, shared.length - 6);
  expect(unzipBundle(shared)).toMatchObject({
    ok: false,
    error: 'its files lie in one another',
  });
});
