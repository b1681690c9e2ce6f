/** The rows of a bundle: each record by itself, its values against it, and the two files against one another. Pure. */
import { readJson } from '../../schemas/untrusted-json.ts';
import type { AnswerRow } from '../answer.ts';
import { formatCsvHead, formatCsvRow } from '../csv.ts';
import { FILES } from '../bundle/names.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { findFault } from '../certificate/rows.ts';
import { findOtherValue } from '../bundle/values.ts';
import { isOtherClock } from '../rules/extras.ts';
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
  const lines = (textOf(files, FILES.rows) ?? '').split('\n');
  const rest = lines.pop();
  const rows: CheckedRow[] = [];
  let faults = 0;
  let otherClock: number | null = null;
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
    const isOther = isOfOtherClock(row, known);
    if (isOther) otherClock ??= row.row;
    const fault = findRowFault(row, isOther ? { ...known, resolved: null, answers: ANY } : known);
    if (fault !== null) fail(row.row, fault);
  }
  if (rest !== '') fail(lines.length + 1, 'the line has no end, and is no row');
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
  if (otherClock !== null) tell({ what, state: 'open', text: OTHER_CLOCK, row: otherClock });
  checkCsv(files, rows, known.columns, tell);
  return rows;
}

const OTHER_CLOCK =
  'the clock of the time zone is known otherwise here than where the answer was made, or the cell was changed';
const ANY: KnownAnswer['answers'] = () => null;

/** Governments change their clocks, and whoever checks may have heard of it earlier or later. */
function isOfOtherClock(
  { record, values }: CheckedRow,
  { columns, resolved }: KnownAnswer,
): boolean {
  const at = columns.findIndex(({ name }) => name === 'local_time');
  if (at === -1 || record === null || resolved === null) return false;
  const { event_bytes } = record;
  return isOtherClock(values[at] ?? null, readJson(event_bytes), event_bytes, resolved.timeZone);
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
