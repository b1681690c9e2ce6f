/**
 * Rows that somebody was shown, held against those that were certified: a page is read by a statement of its own, and whoever has
 * full power over the database can let that one see less. Pure.
 */
import { canonicalize } from '../schemas/canonical.ts';
import type { AnswerRow } from './answer.ts';

export interface ShownPage {
  readonly rows: readonly AnswerRow[];
  /** No row stands before them, or behind them, in the answer. */
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

export interface ShownCheck {
  /** Takes each certified row, in order. */
  take(row: AnswerRow): void;
  /** After the last one: whether the page is a part of the answer, without a gap. */
  isPart(): boolean;
}

export const OTHER_ROWS =
  'the rows that are shown are not those that were certified: records came in meanwhile, or the database shows one statement less than another; ask again';

/** Creates the check of a page. */
export function createShownCheck({ rows, isFirst, isLast }: ShownPage): ShownCheck {
  const wanted = rows.map(keyOf);
  let taken = 0;
  let matched = 0;
  let isRight = true;
  return {
    take: (row) => {
      taken += 1;
      if (matched === wanted.length) {
        // An empty page that is not the first says nothing.
        if (isLast && (isFirst || wanted.length > 0)) isRight = false;
        return;
      }
      if (keyOf(row) === wanted[matched]) matched += 1;
      else if (matched > 0 || isFirst) isRight = false;
    },
    isPart: () => isRight && matched === wanted.length && (isLast || taken > matched),
  };
}

function keyOf({ values, record }: AnswerRow): string {
  return canonicalize({ values, record });
}
