/** A page that somebody was shown, held against the rows that were certified: a part of them, and nothing left out around it. */
import { describe, expect, test } from 'vitest';
import type { AnswerRow } from '../../auditor/answer.ts';
import { digestOfRow } from '../../auditor/page-cursor.ts';
import { createShownCheck, type ShownPage } from '../../auditor/shown-rows.ts';

const ROWS: readonly AnswerRow[] = [1, 2, 3, 4, 5].map((n) => ({ values: [n], record: null }));

/** The page [from, to), and what somebody left out of it. */
function isPart(from: number, to: number, over: Partial<ShownPage> = {}): boolean {
  const previous = ROWS[from - 1];
  const check = createShownCheck({
    rows: ROWS.slice(from, to),
    before: previous === undefined ? null : digestOfRow(previous),
    isLast: to === ROWS.length,
    ...over,
  });
  for (const row of ROWS) check.take(row);
  return check.isPart();
}

describe('a page is a part of the answer', () => {
  test.each([
    [0, 5],
    [0, 2],
    [2, 4],
    [4, 5],
  ])('from row %i to %i', (from, to) => {
    expect(isPart(from, to)).toBe(true);
  });

  test.each<[string, number, number, Partial<ShownPage>]>([
    ['a row in the middle left out', 0, 3, { rows: [ROWS[0]!, ROWS[2]!] }],
    ['the first row left out', 0, 3, { rows: ROWS.slice(1, 3) }],
    ['the first row of a later page left out', 2, 5, { rows: ROWS.slice(3, 5) }],
    ['the last row left out, and said to be the end', 2, 4, { isLast: true }],
    ['a later page left out, and said to be the end', 2, 2, { isLast: true }],
    ['a page said to go on, and it does not', 2, 5, { isLast: false }],
    ['a row that is none', 0, 5, { rows: [...ROWS, { values: [6], record: null }] }],
    ['a page behind a row that is none', 2, 5, { before: 'another' }],
  ])('and not with %s', (_, from, to, over) => {
    expect(isPart(from, to, over)).toBe(false);
  });
});
