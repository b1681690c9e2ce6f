/**
 * Checks an evidence bundle with nothing but its bytes and the keys that are trusted: the same in `sealtrail check` and
 * in the page verify.html. It believes no sentence of the bundle; what it can compute it computes again. Pure.
 */
import { openNote, parseNote } from '../../ledger/note.ts';
import { isAgentKey, type Trust } from '../../ledger/trust.ts';
import { FILES, isBundleName } from '../bundle/names.ts';
import { findQuestion } from '../catalogue.ts';
import type { Certificate, Verdict } from '../certificate/certificate.ts';
import { parseCertificateNote } from '../certificate/note.ts';
import { checkAnchors, type AnchoredStream } from './anchors.ts';
import { sha256Of, textOf, type BundleFiles } from './files.ts';
import type { CheckLine, Tell } from './line.ts';
import { readCertificate, readQuestion, type BundleQuestion } from './read.ts';
import { checkProofs } from './proofs.ts';
import { checkQuestion, type KnownAnswer } from './question.ts';
import { checkRows, type CheckedRow } from './rows.ts';
import { checkStreams } from './streams.ts';

export interface BundleCheck {
  /** `cannot_tell` is never success. */
  readonly verdict: Verdict;
  /** In a sentence. */
  readonly finding: string;
  readonly lines: readonly CheckLine[];
  readonly certificate: Certificate | null;
  readonly question: BundleQuestion | null;
  readonly rows: readonly CheckedRow[];
  /** When the certificate was made, as the note over it says. */
  readonly time: string | null;
  /** Who has signed the certificate, as <name>+<id>; empty: nobody. */
  readonly signers: readonly string[];
  /** Whether a key that is trusted has signed the certificate: without, nobody vouches for question and answer. */
  readonly isSigned: boolean;
  /** Streams whose checkpoint is in their agent's anchor log. */
  readonly anchored: readonly AnchoredStream[];
}

/** Checks a bundle; `trust` null: no key is trusted, and nothing can be told. */
export function checkBundle(files: BundleFiles, trust: Trust | null): BundleCheck {
  const lines: CheckLine[] = [];
  const tell: Tell = (line) => void lines.push(line);
  checkManifest(files, tell);
  const certificate = readCertificate(textOf(files, FILES.certificate));
  const question = readQuestion(textOf(files, FILES.question));
  if (certificate === null || question === null) {
    const what = certificate === null ? FILES.certificate : FILES.question;
    tell({ what, state: 'failed', text: 'it is not there, or not in its form' });
    return { ...conclude(lines, null, trust, false), certificate: null, question, ...NOTHING };
  }
  const known = checkQuestion(certificate, question, tell);
  const rows = checkRows(files, certificate, known, tell);
  checkStreams(files, certificate, rows, trust, tell);
  const anchored = checkAnchors(files, certificate, trust, tell);
  checkProofs(files, rows, trust, tell);
  const { time, signers, isSigned } = checkNote(files, certificate, trust, tell);
  if (!isSigned) tellUnvouched(certificate, rows, known, tell);
  const said = conclude(lines, certificate, trust, isSigned);
  const finding = said.verdict === 'intact' && !isSigned ? unsigned(rows.length) : said.finding;
  const named = { ...question, title: titleOf(question) };
  const found = { certificate, question: named, rows, time, signers, isSigned, anchored };
  return { ...said, finding, ...found };
}

/** As the catalogue has it: the one in the bundle is under no signature. */
function titleOf({ asked, title }: BundleQuestion): string {
  const known = findQuestion(asked.question);
  return known.ok ? known.value.title : title;
}

/** Rows that nothing shows but the word of whoever made the bundle, where nobody who is trusted has put a name to it. */
function tellUnvouched(
  { streams }: Certificate,
  rows: readonly CheckedRow[],
  { isByOthers }: KnownAnswer,
  tell: Tell,
): void {
  const nobody = 'no key that you trust has made it';
  if (isByOthers && rows.length > 0) {
    const text = `what makes these records rows is shown by the signature under the certificate alone, and ${nobody}`;
    tell({ what: 'rows', state: 'open', text });
  }
  const sizes = new Map(streams.map(({ stream, tree }) => [stream, tree?.size ?? 0]));
  const [first, ...others] = rows.filter(
    ({ record }) => record === null || record.seq >= (sizes.get(record.stream) ?? 0),
  );
  if (first === undefined) return;
  const which =
    others.length === 0
      ? `the record of row ${first.row} is`
      : `the records of row ${first.row} and of ${others.length} more are`;
  const text =
    first.record === null
      ? `figures are shown by the signature under the certificate alone, and ${nobody}`
      : `${which} under no checkpoint, and no key that you trust has signed the certificate`;
  tell({ what: 'rows', state: 'open', text });
}

/** What records prove by themselves, where nobody who is trusted has put a name to the rest. */
function unsigned(rows: number): string {
  return `Intact, and UNSIGNED: each record in the ${rows} rows is as it was sealed. That no row was left out, and that this was the question, is signed by nobody whom you trust: ask it again, or have it signed.`;
}

const NOTHING = { rows: [], time: null, signers: [], isSigned: false, anchored: [] } as const;

/** Each file has the digest that the manifest says, and there is no other. */
function checkManifest(files: BundleFiles, tell: Tell): void {
  const said = new Map<string, string>();
  for (const line of textOf(files, FILES.manifest)?.split('\n').slice(0, -1) ?? []) {
    const [, digest = '', name = ''] = /^([0-9a-f]{64}) {2}([\w./-]+)$/.exec(line) ?? [];
    said.set(name, digest);
  }
  const faults: string[] = [];
  for (const [name, bytes] of files) {
    if (name === FILES.manifest) continue;
    if (!isBundleName(name)) faults.push(`${name} does not belong to a bundle`);
    else if (!said.has(name)) faults.push(`${name} is not in the manifest`);
    else if (said.get(name) !== sha256Of(bytes))
      faults.push(`${name} is not the file that was written`);
  }
  for (const name of said.keys())
    if (!files.has(name)) faults.push(`${name || 'a line'} is missing`);
  if (said.size === 0) faults.push('there is none');
  for (const text of faults) tell({ what: 'manifest', state: 'failed', text });
  if (faults.length === 0)
    tell({
      what: 'manifest',
      state: 'ok',
      text: `all ${said.size} files are as they were written`,
    });
}

/** The note is over this certificate, and who has signed it. */
function checkNote(
  files: BundleFiles,
  { verdict }: Certificate,
  trust: Trust | null,
  tell: Tell,
): {
  readonly time: string | null;
  readonly signers: readonly string[];
  readonly isSigned: boolean;
} {
  const note = textOf(files, FILES.note) ?? '';
  const said = parseCertificateNote(note);
  const what = 'certificate';
  const bytes = files.get(FILES.certificate);
  if (
    said === null ||
    bytes === undefined ||
    said.sha256 !== sha256Of(bytes) ||
    said.verdict !== verdict
  ) {
    tell({ what, state: 'failed', text: 'the note over the certificate is about another one' });
    return { time: null, signers: [], isSigned: false };
  }
  const parsed = parseNote(note);
  if (!parsed.ok) {
    tell({
      what,
      state: 'open',
      text: 'nobody has signed the certificate: its sentences are what is computed again here, and no more',
    });
    return { time: said.time, signers: [], isSigned: false };
  }
  const namesOf = (all: readonly { readonly name: string; readonly id: string }[]): string[] =>
    all.map(({ name, id }) => `${name}+${id}`);
  const revoked = new Set(trust?.revoked.map(({ vkey }) => vkey));
  // Whoever has stolen a key that an agent has replaced cannot vouch for an answer.
  const auditors = trust?.keys.filter((key) => !isAgentKey(key) && !revoked.has(key.vkey)) ?? [];
  const opened = openNote(note, auditors);
  const isUnknown = !opened.ok && opened.error.kind === 'no_known_key';
  // Whoever has the bundle can put other names under the note.
  const signers = namesOf(opened.ok ? opened.value.verified : parsed.value.signatures);
  tell({
    what,
    state: opened.ok ? 'ok' : isUnknown ? 'open' : 'failed',
    text: opened.ok
      ? `signed by ${signers.join(', ')}, made at ${said.time}`
      : isUnknown
        ? `signed by ${signers.join(', ')}, and by no key of an auditor that you named; made at ${said.time}`
        : opened.error.message,
  });
  return { time: said.time, signers, isSigned: opened.ok };
}

/** Without these nothing can be told. */
const DECISIVE: ReadonlySet<string> = new Set(['question', 'checkpoint', 'rows']);

function conclude(
  lines: readonly CheckLine[],
  certificate: Certificate | null,
  trust: Trust | null,
  isSigned: boolean,
): Pick<BundleCheck, 'verdict' | 'finding' | 'lines'> {
  const failed = lines.filter(({ state }) => state === 'failed');
  // The row that somebody reads says more than the digest of the file that it stands in.
  const first = failed.find(({ row }) => row !== undefined) ?? failed[0];
  if (first !== undefined) {
    const where = first.row === undefined ? `in its ${first.what}` : `at row ${first.row}`;
    return { verdict: 'broken', finding: `BROKEN ${where}: ${first.text}.`, lines };
  }
  if (certificate === null) return { verdict: 'cannot_tell', finding: 'Cannot tell.', lines };
  const { verdict, finding: told } = certificate;
  if (verdict !== 'intact' && isSigned) return { verdict, finding: told, lines };
  // That a store is broken anybody can say.
  if (verdict !== 'intact') {
    const finding = `Cannot tell: the certificate says "${told}", and no key that you trust has signed it.`;
    return { verdict: 'cannot_tell', finding, lines };
  }
  const open = lines.find(({ what, state }) => state === 'open' && DECISIVE.has(what));
  if (trust === null || open !== undefined) {
    const why = trust === null ? 'no key was named that is trusted' : (open?.text ?? '');
    const finding = `Cannot tell: everything in the bundle fits together, but ${why}.`;
    return { verdict: 'cannot_tell', finding, lines };
  }
  return { verdict: 'intact', finding: certificate.finding, lines };
}
