/**
 * Questions whose rows are what nothing excuses: an earlier event, a ticket that was assigned. A record that could be a row and is
 * none must have its excuse, within the range or before it. Types, and their order.
 */
import type { Facts } from './facts.ts';

/** Where a record stands in the order of an answer, and in it. */
export interface Candidate {
  readonly stream: string;
  /** Number of the stream in the store: records of one moment stand in its order. */
  readonly streamId: number;
  readonly seq: number;
  /** Its row; undefined: it is none. */
  readonly row: number | undefined;
}

/** An event on a thing, by an actor, in [from, before), in milliseconds. */
export interface Wanted {
  readonly actor: string;
  readonly resourceType: string;
  /** As it is filed; null: any of that kind. */
  readonly resourceId: string | null;
  readonly from: number;
  readonly before: number;
}

/** What is looked for before the range: sealed records that the database shows. */
export interface Beyond {
  isThere(wanted: Wanted): Promise<boolean>;
  /** Assignments of tickets to an actor before the range, and all that was done about those tickets then; null: too many. */
  ticketEvents(actor: string): Promise<readonly (Facts & Omit<Candidate, 'row'>)[] | null>;
}

export interface ExcuseVerdict {
  /** Rows that have an excuse. */
  readonly wrong: readonly Candidate[];
  /** No rows, and nothing excuses them. */
  readonly hidden: readonly Candidate[];
}

export interface Excuses {
  /** What a row that has an excuse is told. */
  readonly why: string;
  /** Whether a record that is none of the candidates may have a say all the same. */
  uses(facts: Facts): boolean;
  /** Is shown every verified record, each event once, in any order; `isCandidate`: it could be a row. */
  take(facts: Facts, place: Candidate, isCandidate: boolean): void;
  /** Null: there are more than are kept. */
  conclude(beyond: Beyond): Promise<ExcuseVerdict | null>;
}

/** The order of every answer whose rows are records. */
export function inOrder(
  one: Pick<Facts, 'ms'> & Pick<Candidate, 'streamId' | 'seq'>,
  other: Pick<Facts, 'ms'> & Pick<Candidate, 'streamId' | 'seq'>,
): number {
  return one.ms - other.ms || one.streamId - other.streamId || one.seq - other.seq;
}
