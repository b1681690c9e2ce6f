/** The rows of a bundle: each record by itself, its values against it, and the two files against one another. Pure. */
import { readJson } from '../../schemas/untrusted-json.ts';
import type { AnswerRow } from '../answer.ts';
import { formatCsvHead, formatCsvRow } from '../csv.ts';
import { FILES } from '../bundle/names.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { findFault } from '../certificate/rows.ts';
import { findOtherValue } from '../bundle/values.ts';
import type { Tell } from './line.ts';
import type { KnownAnswer } from './question.ts';
import { sha256Of, textOf, type BundleFiles } from './files.ts';
import { readRow } from './read.ts';

export type CheckedRow = AnswerRow & { readonly row: number };

/** Checks them all; those that can be read are given back. */
export function checkRows(
  files: BundleFiles,
  { rows: certified, judged }: Certificate,
  known: KnownAnswer,
  tell: Tell,
): readonly CheckedRow[] {
  const what = 'rows';
  const bytes = files.get(FILES.rows) ?? new Uint8Array();
  const lines = (textOf(files, FILES.rows) ?? '').split('\n').slice(0, -1);
  const rows: CheckedRow[] = [];
  let faults = 0;
  const fail = (row: number, text: string): void => {
    faults += 1;
    tell({ what, state: 'failed', text, row });
  };
  for (const [at, line] of lines.entries()) {
    const row = readRow(line);
    if (row === null || row.row !== at + 1) {
      fail(at + 1, 'the line is no row, or stands in another place than it says');
      continue;
    }
    rows.push(row);
    const fault = findRowFault(row, known);
    if (fault !== null) fail(row.row, fault);
  }
  if (lines.length !== certified.count)
    tell({
      what,
      state: 'failed',
      text: `the certificate is about ${certified.count} rows, and ${lines.length} are here`,
    });
  else if (judged?.by === 'rows' && judged.matching - judged.repeated !== lines.length)
    tell({
      what,
      state: 'failed',
      text: `the certificate counts ${judged.matching - judged.repeated} records that answer, and ${lines.length} rows are here`,
    });
  else if (sha256Of(bytes) !== certified.sha256)
    tell({ what, state: 'failed', text: 'the rows are not those that were certified' });
  else if (faults === 0)
    tell({
      what,
      state: 'ok',
      text: `${count(lines.length)} as certified; the hash of each record was computed again from its text`,
    });
  checkCsv(files, rows, known.columns, tell);
  return rows;
}

/** What a row has against itself; null: nothing. */
function findRowFault(
  { record, values }: CheckedRow,
  { columns, resolved, isRecord, answers }: KnownAnswer,
): string | null {
  if (values.length !== columns.length)
    return 'the row has more values, or fewer, than there are columns';
  if (isRecord !== null && isRecord !== (record !== null))
    return isRecord ? 'no record stands behind the row' : 'the row is a record, and no figure';
  if (record === null) return null;
  const event = readJson(record.event_bytes);
  const said = { event, text: record.event_bytes };
  return (
    findFault(record) ?? findOtherValue(columns, values, said, resolved) ?? answers(record, event)
  );
}

/** The table says what the rows say. */
function checkCsv(
  files: BundleFiles,
  rows: readonly CheckedRow[],
  columns: KnownAnswer['columns'],
  tell: Tell,
): void {
  const said = (textOf(files, FILES.csv) ?? '').split(/(?<=\r\n)/);
  const expected = [
    formatCsvHead(columns),
    ...rows.map(({ row, values }) => formatCsvRow(row, values)),
  ];
  const at = expected.findIndex((line, index) => said[index] !== line);
  const what = 'table';
  if (at === -1 && said.join('') === expected.join(''))
    tell({ what, state: 'ok', text: 'rows.csv says what the rows say' });
  else if (at > 0)
    tell({ what, state: 'failed', text: 'rows.csv says something else than the row', row: at });
  else
    tell({
      what,
      state: 'failed',
      text: 'rows.csv has other columns, or more lines, than the rows',
    });
}

function count(rows: number): string {
  return rows === 1 ? 'the one row is' : `all ${rows} rows are`;
}
