/**
 * Rows that somebody was shown, held against those that were certified: a page is read by a statement of its own, and whoever has
 * full power over the database can let that one see less. Pure.
 */
import type { AnswerRow } from './answer.ts';
import { digestOfRow } from './page-cursor.ts';

export interface ShownPage {
  readonly rows: readonly AnswerRow[];
  /** Digest of the row right before them; null: they are the first. */
  readonly before: string | null;
  /** No row stands behind them in the answer. */
  readonly isLast: boolean;
}

export interface ShownCheck {
  /** Takes each certified row, in order. */
  take(row: AnswerRow): void;
  /** After the last one: whether the page is a part of the answer, without a gap in it, before it or behind it. */
  isPart(): boolean;
}

export const OTHER_ROWS =
  'the rows that are shown are not those that were certified: records came in meanwhile, or the database shows one statement less than another; ask again';

/** Creates the check of a page. */
export function createShownCheck({ rows, before, isLast }: ShownPage): ShownCheck {
  const wanted = rows.map(digestOfRow);
  let hasBegun = before === null;
  let matched = 0;
  let isOther = false;
  let isMore = false;
  return {
    take: (row) => {
      const digest = digestOfRow(row);
      if (!hasBegun) hasBegun = digest === before;
      else if (matched === wanted.length) isMore = true;
      else if (digest === wanted[matched]) matched += 1;
      else isOther = true;
    },
    isPart: () => hasBegun && !isOther && matched === wanted.length && isMore === !isLast,
  };
}
