/** Rows of an answer as files: CSV for spreadsheets, NDJSON for programs, and the sealed records for the check in a browser. */
import type { AnswerRow, Column } from '../answer.ts';

/** CSV (RFC 4180), with a byte order mark, without which some spreadsheets take it for another character set. */
export async function* writeCsv(
  columns: readonly Column[],
  rows: AsyncIterable<AnswerRow>,
): AsyncGenerator<string> {
  yield `\ufeff${columns.map(({ title }) => csvCell(title)).join(',')}\r\n`;
  for await (const { values } of rows) yield `${values.map(csvCell).join(',')}\r\n`;
}

/** A cell that no spreadsheet takes for a formula: an apostrophe goes before what could begin one. */
export function csvCell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[\s\u0000-\u001f]*[=+\-@]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A line a row: its values by name, and the sealed record behind it. */
export async function* writeNdjson(
  columns: readonly Column[],
  rows: AsyncIterable<AnswerRow>,
): AsyncGenerator<string> {
  for await (const { values, record } of rows) {
    const named = columns.map(({ name }, index) => [name, values[index] ?? null] as const);
    yield `${JSON.stringify({ ...Object.fromEntries(named), record })}\n`;
  }
}

/** A line a record, as the script of the page reads it; rows without one are left out. */
export async function* writeRecords(rows: AsyncIterable<AnswerRow>): AsyncGenerator<string> {
  for await (const { record } of rows) if (record !== null) yield `${JSON.stringify(record)}\n`;
}
