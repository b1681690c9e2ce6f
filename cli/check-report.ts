/**
 * Whether the report that lies in a bundle says what its rows and its certificate say: it is made once more. People read it first,
 * and no signature is over it. Another version may word it otherwise, another machine know a time zone otherwise: so one that
 * differs is said, and breaks nothing.
 */
import { VERSION } from '../agent/version.ts';
import { formatHtml } from '../auditor/bundle/html.ts';
import { FILES } from '../auditor/bundle/names.ts';
import { REPORT_ROWS_MAX } from '../auditor/bundle/report.ts';
import type { BundleCheck } from '../auditor/check/bundle.ts';
import { sha256Of, textOf, type BundleFiles } from '../auditor/check/files.ts';
import type { CheckLine } from '../auditor/check/line.ts';

/** Compares it; null: there is nothing to compare it with. */
export function compareReport(
  files: BundleFiles,
  { certificate, question, rows, time, signers }: BundleCheck,
): CheckLine | null {
  const bytes = files.get(FILES.certificate);
  if (certificate === null || question === null || time === null || bytes === undefined)
    return null;
  const what = 'report';
  const maker = `sealtrail ${VERSION}`;
  if (certificate.verifier !== maker)
    return {
      what,
      state: 'open',
      text: `${FILES.html} was made by another version, and is not compared: go by rows and certificate`,
    };
  const made = formatHtml({
    ...{ title: question.title, columns: question.columns, certificate, time },
    rows: rows.slice(0, REPORT_ROWS_MAX),
    signer: signers[0] ?? null,
    certificate_sha256: sha256Of(bytes),
  });
  return made === textOf(files, FILES.html)
    ? {
        what,
        state: 'ok',
        text: `${FILES.html} says what rows and certificate say; ${FILES.pdf} is not compared`,
      }
    : {
        what,
        state: 'open',
        text: `${FILES.html} is not what comes of these rows and this certificate: do not go by it, nor by ${FILES.pdf}`,
      };
}
