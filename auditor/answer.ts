/**
 * What every part of the auditor's side agrees on: a question as it is asked, and its answer. The catalogue makes
 * statements of questions, the certificate judges the records behind an answer, the bundle and the page show both.
 * Types alone.
 */

/** A question as somebody asks it. With the same store it is answered the same, whenever it is asked. */
export interface Asked {
  /** Its name in the catalogue, as `actor-activity`. */
  readonly question: string;
  readonly tenant: string;
  /** RFC 3339, UTC: of the time of the event, [since, until). */
  readonly since: string;
  readonly until: string;
  /** IANA name: in which times are shown, and what "an hour" and "out of hours" mean. */
  readonly timeZone: string;
  /** By name, as the catalogue lists them; those that are not given have their default. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The one statement that answers it: what an auditor could run by hand. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly unknown[];
}

export interface Parameter {
  readonly name: string;
  readonly title: string;
  readonly help: string;
  readonly kind: 'text' | 'number' | 'choice';
  readonly choices?: readonly string[];
  /** Undefined: it must be given. */
  readonly default?: string;
  readonly example: string;
}

export interface Column {
  readonly name: string;
  readonly title: string;
  readonly kind: 'text' | 'time' | 'number';
}

/** The sealed record behind a row: what a certificate can judge. */
export interface RecordOfRow {
  readonly stream: string;
  readonly seq: number;
  readonly event_id: string;
  /** The event as it was hashed. */
  readonly event_bytes: string;
  readonly prev_hash: string;
  readonly this_hash: string;
}

export interface AnswerRow {
  /** One a column, in their order. Times are RFC 3339, UTC. */
  readonly values: readonly (string | number | null)[];
  /** Null: the row counts or compares records, and is none itself. */
  readonly record: RecordOfRow | null;
}

export interface AnswerPage {
  readonly columns: readonly Column[];
  readonly rows: readonly AnswerRow[];
  /** Digest of the row right before them; null: they are the first. */
  readonly before: string | null;
  /** Where the next page begins; null: there is none. */
  readonly next: string | null;
  readonly statement: Statement;
}

/** Why a question is not answered. */
export interface AskError {
  /** forbidden: of another tenant; invalid: not in that form; unavailable: the store does not answer. */
  readonly kind: 'forbidden' | 'invalid' | 'unavailable';
  readonly message: string;
  /** The parameter that is wrong, where it is one. */
  readonly parameter?: string;
}
