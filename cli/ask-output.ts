/** How an answer is printed: a table for people, JSON and CSV for programs. As fast as the reader reads, no faster. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { AnswerPage, AnswerRow, Asked, Column } from '../auditor/answer.ts';
import type { AnswerStream } from '../auditor/ask.ts';
import { formatCsvLine } from '../auditor/csv.ts';
import { formatRow, type Certificate } from '../auditor/certificate/certificate.ts';
import { printableJson } from './printable.ts';

export type Form = 'table' | 'json' | 'csv';

const CELL_MAX = 40;

/** Prints one page, and how to come to the next one. */
export async function printPage(
  page: AnswerPage,
  asked: Asked,
  form: Form,
  certificate: Certificate | null,
  /** Whether these are the rows that the certificate is about. */
  isCertified: boolean,
): Promise<void> {
  if (form === 'json') {
    const rows = page.rows.map((row) => toObject(page.columns, row));
    const answer = { asked, rows, next: page.next, certificate, is_certified: isCertified };
    await write(`${printableJson(answer, 2)}\n`);
    return;
  }
  if (form === 'csv')
    await write(formatCsvLine(page.columns.map(({ name }) => name)) + csvOf(page.rows));
  else await write(tableOf(page.columns, page.rows, asked.timeZone, true));
  const more = page.next === null ? '' : `; the next page: --cursor ${page.next}`;
  console.error(`${page.rows.length === 0 ? 'nothing found' : `${page.rows.length} rows`}${more}`);
}

/** Prints all batches as they come; returns the digest of the rows, as a certificate states it. */
export async function printStream(stream: AnswerStream, asked: Asked, form: Form): Promise<string> {
  const { columns } = stream;
  const digest = createHash('sha256');
  let rows = 0;
  if (form === 'csv') await write(formatCsvLine(columns.map(({ name }) => name)));
  for await (const batch of stream.batches) {
    if (form === 'csv') await write(csvOf(batch));
    else if (form === 'json')
      await write(batch.map((row) => `${printableJson(toObject(columns, row))}\n`).join(''));
    else await write(tableOf(columns, batch, asked.timeZone, rows === 0));
    for (const [at, row] of batch.entries()) digest.update(formatRow(rows + at + 1, row));
    rows += batch.length;
  }
  console.error(rows === 0 ? 'nothing found' : `${rows} rows`);
  return digest.digest('hex');
}

function toObject(columns: readonly Column[], { values, record }: AnswerRow): object {
  const row = Object.fromEntries(columns.map(({ name }, index) => [name, values[index] ?? null]));
  return { row, record };
}

function csvOf(rows: readonly AnswerRow[]): string {
  return rows.map(({ values }) => formatCsvLine(values)).join('');
}

function tableOf(
  columns: readonly Column[],
  rows: readonly AnswerRow[],
  timeZone: string,
  hasHead: boolean,
): string {
  const clock = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  const lines = rows.map(({ values }) =>
    columns.map(({ kind }, index) => {
      const value = values[index] ?? null;
      if (value === null) return '-';
      const ms = kind === 'time' ? Date.parse(String(value)) : Number.NaN;
      return printable(Number.isNaN(ms) ? String(value) : clock.format(ms));
    }),
  );
  const head = columns.map(({ title }) => title);
  const widths = head.map((title, index) =>
    Math.max(title.length, ...lines.map((line) => line[index]?.length ?? 0)),
  );
  const all = hasHead && rows.length > 0 ? [head, ...lines] : lines;
  return all
    .map(
      (line) =>
        `${line
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** What an event says must not steer a terminal, nor break a line. */
function printable(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
  return plain.length > CELL_MAX ? `${plain.slice(0, CELL_MAX - 1).toWellFormed()}…` : plain;
}

/** Writes to standard output, as fast as it is read. */
export async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}
