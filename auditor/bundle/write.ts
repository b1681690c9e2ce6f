/**
 * Writes an evidence bundle: the certificate is made while the rows go to disk, and then all that shows it to somebody who
 * has nothing else. A folder, or a .zip of one.
 */
import { readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { canonicalize } from '../../schemas/canonical.ts';
import { HASH_BYTES, writeRecordLeaf } from '../../ledger/merkle/hash.ts';
import type { NoteSigner } from '../../ledger/signing.ts';
import { formatAnchor } from '../../ledger/proof-file.ts';
import { formatWindow, windowsOf } from '../../ledger/trust.ts';
import { chainHash } from '../../schemas/brand.ts';
import type { AnswerRow, Column } from '../answer.ts';
import { formatCertificate, type Certificate } from '../certificate/certificate.ts';
import { certify, type CertifyOptions } from '../certificate/certify.ts';
import { writeCertificateNote } from '../certificate/note.ts';
import { QUESTION_VERSION } from '../check/read.ts';
import { formatCsvHead, formatCsvRow } from '../csv.ts';
import { openBundleDisk, type BundleDisk, type BundleFile } from './disk.ts';
import { formatHtml } from './html.ts';
import { createInclusions } from './inclusion.ts';
import { anchorName, checkpointName, FILES, proofName, rangeName } from './names.ts';
import { formatPdf } from './pdf.ts';
import { README } from './readme.ts';
import { REPORT_ROWS_MAX, type Report } from './report.ts';
import { zipFolder } from './zip.ts';

export interface BundleOptions extends Omit<CertifyOptions, 'onRow' | 'onHash'> {
  /** A folder that is empty or not there, or a file that is not there and ends in .zip. */
  readonly path: string;
  /** The question in words. */
  readonly title: string;
  readonly columns: readonly Column[];
  /** Signs the certificate; null: nobody does. */
  readonly signer: NoteSigner | null;
  /** RFC 3339: the time that the note and the reports state. */
  readonly time: string;
}

/** Rows that get a proof of their own; each of the others is covered by the range. */
export const PROOFS_MAX = 1_000;

/** Writes it. Rejects with the system's error, and then leaves what it has written of a folder. */
export async function writeBundle(options: BundleOptions): Promise<Certificate> {
  const { path } = options;
  if (!path.endsWith('.zip')) return (await fill(openBundleDisk(path), options)).certificate;
  if (existsSync(path)) throw new Error(`${path} is there already: name a new file`);
  const dir = `${path}.parts`;
  try {
    const { certificate, names } = await fill(openBundleDisk(dir), options);
    zipFolder(dir, names, path);
    return certificate;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function fill(
  disk: BundleDisk,
  options: BundleOptions,
): Promise<{ readonly certificate: Certificate; readonly names: readonly string[] }> {
  const { columns, title, trust, signer, time } = options;
  const [csv, ndjson] = [disk.begin(FILES.csv), disk.begin(FILES.rows)];
  const first: AnswerRow[] = [];
  const ranges = collectRanges(disk);
  let count = 0;
  csv.write(formatCsvHead(columns));
  const certificate = await certify({
    ...options,
    onRow: (row, line) => {
      count += 1;
      csv.write(formatCsvRow(count, row.values));
      ndjson.write(line);
      if (count <= Math.max(REPORT_ROWS_MAX, PROOFS_MAX)) first.push(row);
    },
    onHash: ranges.take,
  });
  csv.end();
  ndjson.end();
  ranges.end(certificate.streams.length);

  const text = formatCertificate(certificate);
  const { asked, statement, login, verdict, streams } = certificate;
  const question = { _v: QUESTION_VERSION, title, asked, statement, login, columns };
  disk.put(FILES.question, `${canonicalize(question)}\n`);
  disk.put(FILES.certificate, text);
  disk.put(FILES.note, await writeCertificateNote(text, verdict, time, signer));
  if (signer !== null) disk.put(FILES.signer, `${signer.vkey}\n`);
  if (trust !== null) disk.put(FILES.keys, windowsOf(trust).map(formatWindow).join(''));
  for (const [index, { checkpoint }] of streams.entries())
    if (checkpoint !== null) disk.put(checkpointName(index), checkpoint);
  await putAnchors(disk, certificate, options);
  putProofs(disk, certificate, first, ranges.leaves);

  const report: Report = {
    ...{ title, columns, certificate, time },
    rows: first.slice(0, REPORT_ROWS_MAX),
    signer: signer === null ? null : `${signer.name}+${signer.id}`,
    certificate_sha256: createHash('sha256').update(text).digest('hex'),
  };
  disk.put(FILES.html, formatHtml(report));
  disk.put(FILES.pdf, await formatPdf(report));
  disk.put(FILES.verify, await readVerifyPage());
  disk.put(FILES.readme, README);
  const digests = [...disk.digests()].sort(([one], [other]) => (one < other ? -1 : 1));
  disk.put(FILES.manifest, digests.map(([name, digest]) => `${digest}  ${name}\n`).join(''));
  return { certificate, names: [...disk.digests().keys()] };
}

interface Ranges {
  take(index: number, line: string): void;
  /** Every stream has its file, also where it lists nothing. */
  end(streams: number): void;
  /** Leaf hashes of a stream's list, side by side. */
  leaves(index: number): Buffer;
}

function collectRanges(disk: BundleDisk): Ranges {
  const files: BundleFile[] = [];
  const leaves: { bytes: Buffer; used: number }[] = [];
  const begin = (index: number): void => {
    while (files.length <= index) {
      files.push(disk.begin(rangeName(files.length)));
      leaves.push({ bytes: Buffer.alloc(HASH_BYTES * 1024), used: 0 });
    }
  };
  return {
    take: (index, line) => {
      begin(index);
      files[index]?.write(line);
      const own = leaves[index];
      if (own === undefined) return;
      if (own.used === own.bytes.length)
        own.bytes = Buffer.concat([own.bytes, Buffer.alloc(own.used)]);
      writeRecordLeaf(chainHash(line.slice(0, -1)), own.bytes, own.used);
      own.used += HASH_BYTES;
    },
    end: (streams) => {
      if (streams > 0) begin(streams - 1);
      for (const file of files) file.end();
    },
    leaves: (index) => {
      const { bytes, used } = leaves[index] ?? { bytes: Buffer.alloc(0), used: 0 };
      return bytes.subarray(0, used);
    },
  };
}

/** Of streams whose checkpoint the folder of checkpoints that was named has in an anchor log. */
async function putAnchors(
  disk: BundleDisk,
  { streams }: Certificate,
  { known }: BundleOptions,
): Promise<void> {
  for (const [index, { stream, tree, checkpoint }] of streams.entries()) {
    if (checkpoint === null || tree === null) continue;
    const anchor = (await known?.readAnchor?.(stream, BigInt(tree.size))) ?? null;
    if (anchor !== null) disk.put(anchorName(index), formatAnchor(anchor));
  }
}

function putProofs(
  disk: BundleDisk,
  { streams }: Certificate,
  rows: readonly AnswerRow[],
  leavesOf: (index: number) => Buffer,
): void {
  const inclusions = new Map(
    streams.map((proof, index) => [proof.stream, createInclusions(proof, leavesOf(index))]),
  );
  for (const [at, { record }] of rows.slice(0, PROOFS_MAX).entries()) {
    if (record === null) continue;
    const proof = inclusions.get(record.stream)?.prove(record) ?? null;
    if (proof !== null) disk.put(proofName(at + 1), proof);
  }
}

/** The page as the build has made it; beside the sources it lies where the build puts it first. */
async function readVerifyPage(): Promise<Buffer> {
  return readFile(new URL('../generated/verify.html', import.meta.url));
}
