/** Rows of an answer as files: CSV for spreadsheets, NDJSON for programs, and the sealed records for the check in a browser. */
import type { AnswerRow, Column } from '../answer.ts';
import { formatCsvHead, formatCsvRow } from '../csv.ts';

/** CSV, with a byte order mark, without which some spreadsheets take it for another character set. */
export async function* writeCsv(
  columns: readonly Column[],
  rows: AsyncIterable<AnswerRow>,
): AsyncGenerator<string> {
  yield `\ufeff${formatCsvHead(columns)}`;
  let number = 0;
  for await (const { values } of rows) yield formatCsvRow((number += 1), values);
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

/** Row by row. */
export async function* flat(
  batches: AsyncIterable<readonly AnswerRow[]>,
): AsyncGenerator<AnswerRow> {
  for await (const batch of batches) yield* batch;
}
