/**
 * CSV as RFC 4180 has it, safe to open in a spreadsheet: a text that a spreadsheet would take for a formula begins with
 * an apostrophe, which shows it as text. Pure.
 */
import type { AnswerRow, Column } from './answer.ts';

/** What makes a formula of a cell, in one spreadsheet or another; white space before it does not help. */
const FORMULA = /^[\s\u00a0\ufeff]*[=+\-@\uff0b\uff0d\uff1d\uff20|%]|^[\t\r\n]/;
const TO_QUOTE = /[",\r\n\t;']|^\s|\s$/;

/** The line of the columns' names. */
export function formatCsvHead(columns: readonly Column[]): string {
  return formatCsvLine(['row', ...columns.map(({ name }) => name)]);
}

/** The line of a row, which counts from 1. */
export function formatCsvRow(number: number, values: AnswerRow['values']): string {
  return formatCsvLine([number, ...values]);
}

/** One line, with its end. */
export function formatCsvLine(values: AnswerRow['values']): string {
  return `${values.map(formatCell).join(',')}\r\n`;
}

function formatCell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return TO_QUOTE.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
