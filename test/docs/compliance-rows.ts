/** Reads docs/COMPLIANCE.md: its tables, row by row, and what is named in them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const PAGE = 'docs/COMPLIANCE.md';

export interface Row {
  /** Of the second level. */
  readonly section: string;
  readonly cells: Readonly<Record<string, string>>;
}

/** Rows of every table of the page, cells by the names of their columns. */
export function readRows(
  text: string = readFileSync(join(import.meta.dirname, '../..', PAGE), 'utf8'),
): readonly Row[] {
  const rows: Row[] = [];
  let section = '';
  let columns: readonly string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('## ')) section = line.slice(3).trim();
    if (!line.startsWith('|')) {
      columns = [];
      continue;
    }
    const cells = line
      .slice(1, line.lastIndexOf('|'))
      .split(' | ')
      .map((cell) => cell.replace(/^\||\|$/g, '').trim());
    if (columns.length === 0) columns = cells;
    else if (!cells.every((cell) => /^-+$/.test(cell)))
      rows.push({
        section,
        cells: Object.fromEntries(columns.map((name, at) => [name, cells[at] ?? ''])),
      });
  }
  return rows;
}

/** What stands in code quotes. */
export function namesIn(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
}
