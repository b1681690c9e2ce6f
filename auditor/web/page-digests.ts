/**
 * Pages of rows by their digests: those that a person was shown, and those of the answer that was certified. They come by two
 * statements, and whoever has full power over the database can let one see less than the other. Pure.
 */
import { createHash, type Hash } from 'node:crypto';
import type { AnswerPage } from '../answer.ts';
import { formatRow } from '../certificate/certificate.ts';

export const PAGE_ROWS = 50;

export interface PageDigests {
  /** Takes the line of each row, in order. */
  take(line: string): void;
  /** One digest a page; of no rows, one. */
  conclude(): readonly string[];
}

/** Begins with the first row of an answer. */
export function digestPages(): PageDigests {
  const full: string[] = [];
  let hash = begin();
  let rows = 0;
  return {
    take: (line) => {
      if (rows > 0 && rows % PAGE_ROWS === 0) {
        full.push(end(hash, false));
        hash = begin();
      }
      hash.update(line);
      rows += 1;
    },
    conclude: () => [...full, end(hash, true)],
  };
}

/** The digest of one page; `number` counts from 0. */
export function digestPage({ rows, next }: AnswerPage, number: number): string {
  const hash = begin();
  for (const [at, row] of rows.entries()) hash.update(formatRow(number * PAGE_ROWS + at + 1, row));
  return end(hash, next === null);
}

const begin = (): Hash => createHash('sha256');
const end = (hash: Hash, isLast: boolean): string =>
  hash.update(isLast ? 'the last' : 'and more').digest('hex');
