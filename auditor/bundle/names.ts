/** Names of the files of an evidence bundle, and nothing else may be in one. Pure. */

export const FILES = {
  readme: 'README.txt',
  question: 'question.json',
  csv: 'rows.csv',
  rows: 'rows.ndjson',
  certificate: 'certificate.json',
  note: 'certificate.note',
  keys: 'keys.txt',
  signer: 'certificate-key.txt',
  html: 'report.html',
  pdf: 'report.pdf',
  verify: 'verify.html',
  manifest: 'MANIFEST',
} as const;

/** What differs from one making of the same bundle to the next, since it names when it was made. */
export const TIMED: ReadonlySet<string> = new Set([
  ...[FILES.note, FILES.html, FILES.pdf, FILES.manifest],
]);

const NUMBERED =
  /^(ranges\/\d{3,6}\.txt|checkpoints\/\d{3,6}\.note|anchors\/\d{3,6}\.anchor|proofs\/\d{6,9}\.proof)$/;
const SINGLE: ReadonlySet<string> = new Set(Object.values(FILES));

/** The hashes of a stream's range; streams count from 0. */
export function rangeName(index: number): string {
  return `ranges/${String(index).padStart(3, '0')}.txt`;
}

/** The checkpoint of a stream. */
export function checkpointName(index: number): string {
  return `checkpoints/${String(index).padStart(3, '0')}.note`;
}

/** What shows that the checkpoint of a stream was anchored. */
export function anchorName(index: number): string {
  return `anchors/${String(index).padStart(3, '0')}.anchor`;
}

/** The proof of a row, which counts from 1. */
export function proofName(row: number): string {
  return `proofs/${String(row).padStart(6, '0')}.proof`;
}

/** Whether it is what a desktop leaves in a folder that somebody has looked at (.DS_Store): no part of the bundle. */
export function isHiddenName(name: string): boolean {
  return name.split('/').at(-1)?.startsWith('.') === true;
}

/** Whether a bundle may hold a file of this name. */
export function isBundleName(name: string): boolean {
  return SINGLE.has(name) || NUMBERED.test(name);
}
