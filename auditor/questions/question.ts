/** What a question of the catalogue is: parameters in, one statement out, and how its rows read. Pure. */
import type { AnswerRow, Asked, AskError, Column, Parameter } from '../answer.ts';
import type { Sql } from '../sql.ts';

/** A question whose form is right: defaults filled in, times as they are written everywhere. */
export interface Resolved extends Asked {
  text(name: string): string;
  number(name: string): number;
  /** A list with commas, without blanks and repeats. */
  list(name: string): readonly string[];
}

/** Where a row stands in the order of the answer. */
export type Key = readonly string[];
export type KeyKind = 'time' | 'integer' | 'text';

export interface Page {
  /** Rows behind this one. */
  readonly after: Key | null;
  /** Null: all. */
  readonly limit: number | null;
}

/** A row as the database gives it: first the key, then what the question selects. */
export type RawRow = readonly (string | null)[];

export interface Question {
  /** kebab-case. */
  readonly id: string;
  readonly title: string;
  readonly help: string;
  readonly parameters: readonly Parameter[];
  readonly columns: readonly Column[];
  readonly key: readonly KeyKind[];
  /** What is wrong beyond the kinds of the parameters. */
  readonly check?: (question: Resolved) => AskError | null;
  readonly build: (question: Resolved, page: Page) => Sql;
  readonly readRow: (row: RawRow, question: Resolved) => AnswerRow;
}
