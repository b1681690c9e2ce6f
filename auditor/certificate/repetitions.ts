/**
 * Records that the database calls repetitions of an event, and so keeps out of every answer. Which record of an event is the
 * one that is shown no hash says; so that one has to stand, with its hash, in the streams that were read: anybody can make
 * up a record that stands nowhere. If it tells of the same act it has been held against the question itself. Pure.
 */
import type { Facts } from '../rules/facts.ts';
import { customerOf } from '../rules/assignments.ts';
import { ticketOf } from '../rules/records.ts';

export interface At {
  readonly streamId: number;
  readonly seq: number;
  readonly this_hash: string;
}

/** The record that is shown of an event, as the database has it; its text has that hash. */
export interface Original extends At {
  readonly act: string;
}

/** By event, of those that are repeated in the question's time; null: more than are kept. */
export type Originals = ReadonlyMap<string, Original> | null;

interface Place extends At {
  readonly stream: string;
}

interface Repetition extends Pick<Place, 'stream' | 'seq'> {
  readonly id: string;
  readonly act: string;
}

export interface Repetitions {
  /** Is told each place that was read, and whether a trusted key has signed it. */
  pass(at: At, isSigned: boolean): void;
  /** Takes a record that is said to repeat another one, and answers, or has a say in what does. */
  take(facts: Facts, place: Place, isAnswer: boolean): void;
  /** Is told each other record that was held against the question. */
  judge(facts: Facts, place: Place): void;
  conclude(): ConcludedRepetitions;
}

/** `isSigned`: a trusted key has signed the record that is shown of the event. */
export interface Masked extends Pick<Place, 'stream' | 'seq'> {
  readonly isSigned: boolean;
}

export interface ConcludedRepetitions {
  /** Those that answer. */
  readonly repeated: number;
  /** Of these, such as tell of another act than the record that is shown. */
  readonly masked: readonly Masked[];
  /** Of these, such as nothing in the streams excuses. */
  readonly unrepeated: readonly Pick<Place, 'stream' | 'seq'>[];
  /** There were more than are kept. */
  readonly isTooMuch: boolean;
}

export const REPETITIONS_MAX = 1_000_000;

/** Begins before anything is read. */
export function createRepetitions(originals: Originals): Repetitions {
  const idAt = new Map<string, string>();
  for (const [id, { streamId, seq }] of originals ?? []) idAt.set(`${streamId} ${seq}`, id);
  const standing = new Map<string, { readonly isSigned: boolean }>();
  const judged = new Set<string>();
  const all: Repetition[] = [];
  let repeated = 0;

  function isOriginal(id: string, { streamId, seq, this_hash }: At): boolean {
    const original = originals?.get(id);
    return (
      original?.streamId === streamId && original.seq === seq && original.this_hash === this_hash
    );
  }

  function isSame({ id, act }: Repetition): boolean {
    return originals?.get(id)?.act === act;
  }

  return {
    pass: (at, isSigned) => {
      const id = idAt.size === 0 ? undefined : idAt.get(`${at.streamId} ${at.seq}`);
      if (id !== undefined && isOriginal(id, at)) standing.set(id, { isSigned });
    },
    judge: ({ eventId }, place) => {
      if (isOriginal(eventId, place)) judged.add(eventId);
    },
    take: (facts, { stream, seq }, isAnswer) => {
      if (isAnswer) repeated += 1;
      if (originals !== null) all.push({ id: facts.eventId, act: actOf(facts), stream, seq });
    },
    conclude: () => ({
      repeated,
      masked: all.flatMap((one) => {
        const stands = isSame(one) ? undefined : standing.get(one.id);
        const { stream, seq } = one;
        return stands === undefined ? [] : [{ stream, seq, ...stands }];
      }),
      // One that tells of the same act is of the same time, and has to be among those that were judged.
      unrepeated: all
        .filter((one) => !(isSame(one) ? judged : standing).has(one.id))
        .map(({ stream, seq }) => ({ stream, seq })),
      isTooMuch: originals === null,
    }),
  };
}

/** All that any question asks of a record: two that agree in it answer the same questions. */
export function actOf(facts: Facts): string {
  const { ms, actor, onBehalfOf, action, category, outcome, resourceType, resourceId } = facts;
  return JSON.stringify([
    ...[ms, actor, onBehalfOf, action, category, outcome, resourceType, resourceId],
    ...[ticketOf(facts), customerOf(facts), facts.assignee(), facts.said('row_count')],
  ]);
}
