/** What a report says, in the order in which it is read; html.ts and pdf.ts give it its form. Pure. */
import type { AnswerRow, Column } from '../answer.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { isTimeZone } from '../resolve.ts';

/** Rows that a report shows; all of them stand in rows.csv. */
export const REPORT_ROWS_MAX = 1_000;

export interface Report {
  /** The question in words. */
  readonly title: string;
  readonly columns: readonly Column[];
  /** At most REPORT_ROWS_MAX. */
  readonly rows: readonly AnswerRow[];
  readonly certificate: Certificate;
  /** When it was made. */
  readonly time: string;
  /** Key that signed the certificate, as <name>+<id>; null: none. */
  readonly signer: string | null;
  readonly certificate_sha256: string;
}

export const VERDICT_WORDS: Readonly<Record<Certificate['verdict'], string>> = {
  intact: 'Intact',
  broken: 'BROKEN',
  cannot_tell: 'Cannot tell',
};

/** Name and value, the facts of the question. */
export function headOf({
  certificate,
  time,
  signer,
}: Report): readonly (readonly [string, string])[] {
  const { asked, login, rows, verifier } = certificate;
  // In the order of the certificate's canonical form: a report can be made again from the bundle.
  const parameters = Object.entries(asked.parameters)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name} = ${value}`);
  return [
    ['Tenant', asked.tenant],
    ['Time of the events', `from ${asked.since} up to, not including, ${asked.until}`],
    ['Asked for', parameters.length === 0 ? 'no further limits' : parameters.join(', ')],
    ['Asked by', `database login ${login}`],
    ['Answer', `${rows.count.toLocaleString('en-US')} ${rows.count === 1 ? 'row' : 'rows'}`],
    ['Made at', `${time}, by ${verifier}`],
    ['Signed by', signer ?? 'nobody: this report is as good as the hands that it came through'],
  ];
}

/** What is left to somebody who wants to see it himself. */
export function detailsOf(report: Report): readonly (readonly [string, string])[] {
  const { streams } = report.certificate;
  return [
    ['Question', report.certificate.asked.question],
    ['Time zone of the question', report.certificate.asked.timeZone],
    ['SHA-256 of certificate.json', report.certificate_sha256],
    ...streams.map(({ stream, from, to, tree, checkpoint, keys, is_trusted, anchored }) => {
      const signed =
        checkpoint === null
          ? 'no checkpoint'
          : `checkpoint of ${tree?.size ?? 0} records${is_trusted ? ` signed by ${keys.join(', ')}` : ', whose signature was not judged'}`;
      const since =
        anchored === null ? '' : `; anchored at ${anchored.time} by ${anchored.by.join(', ')}`;
      const range = from === to ? 'no record of that time' : `records seq ${from} to ${to - 1}`;
      return [`Stream ${stream}`, `${range}; ${signed}${since}`] as const;
    }),
  ];
}

/** A cell as text; times in the zone of the question, with their offset. In UTC where that zone is not known, as to an older browser. */
export function cellText(
  value: string | number | null,
  column: Column | undefined,
  timeZone: string,
): string {
  if (value === null) return '';
  if (column?.kind !== 'time' || typeof value !== 'string') return String(value);
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? value : inZone(at, timeZone);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** 2026-03-02 09:00:00 +01:00 */
function inZone(at: Date, timeZone: string): string {
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-CA', {
      timeZone: isTimeZone(timeZone) ? timeZone : 'UTC',
      hourCycle: 'h23',
      ...{ year: 'numeric', month: '2-digit', day: '2-digit' },
      ...{ hour: '2-digit', minute: '2-digit', second: '2-digit' },
      timeZoneName: 'longOffset',
    });
  formats.set(timeZone, format);
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const of = (...names: Intl.DateTimeFormatPartTypes[]): string[] =>
    names.map((name) => parts.get(name) ?? '');
  const offset = (parts.get('timeZoneName') ?? '').replace('GMT', '') || '+00:00';
  return `${of('year', 'month', 'day').join('-')} ${of('hour', 'minute', 'second').join(':')} ${offset}`;
}
