/** What answers a question, for whoever holds an answer against records: one rule a question. Pure. */
import type { Resolved } from '../questions/question.ts';
import { createAssignments } from './assignments.ts';
import type { Excuses } from './excuse.ts';
import type { Facts } from './facts.ts';
import { FIGURES, type Figures } from './figures.ts';
import { createFirsts } from './firsts.ts';
import { hasAction, RECORD_RULES } from './records.ts';

export interface Rule {
  /**
   * `rows`: a record that answers is a row. `figures`: rows are computed out of the records that count. `candidates`: a
   * row is one of these, and which of them are, others say. `excused`: the same, and what keeps one out of the answer is
   * looked for, within the range and before it.
   */
  readonly kind: 'rows' | 'figures' | 'candidates' | 'excused';
  /** Whether a record answers, counts, or could be a row; `stream` is where it stands. */
  matches(facts: Facts, stream: string): boolean;
  /** Of kind `figures`. */
  readonly figures: Figures | null;
  /** Of kind `excused`. */
  readonly excuses: Excuses | null;
}

type Candidates = (question: Resolved) => (facts: Facts) => boolean;

const CANDIDATES: Readonly<Record<string, Candidates>> = {
  'first-time-access': (question) => {
    const actor = question.text('actor');
    return (facts) => facts.actor === actor;
  },
  'access-outside-tickets': (question) => {
    const [actor, isWanted] = [question.text('actor'), hasAction(question)];
    return (facts) => facts.actor === actor && facts.outcome === 'success' && isWanted(facts);
  },
  'producer-gaps': () => (facts) => facts.category !== 'audit_trail',
};

const EXCUSES: Readonly<Record<string, (question: Resolved) => Excuses>> = {
  'first-time-access': createFirsts,
  'access-outside-tickets': createAssignments,
};

/** The rule of a question; null: it has none. */
export function ruleOf(question: Resolved): Rule | null {
  const named = <T>(of: Readonly<Record<string, T>>): T | null =>
    Object.hasOwn(of, question.question) ? (of[question.question] ?? null) : null;
  const figures = named(FIGURES)?.(question) ?? null;
  const found = named(RECORD_RULES)?.(question) ?? null;
  const candidates = named(CANDIDATES)?.(question) ?? null;
  const excuses = named(EXCUSES)?.(question) ?? null;
  const others = excuses === null ? 'candidates' : 'excused';
  const kind = figures !== null ? 'figures' : found !== null ? 'rows' : others;
  const matches = figures?.matches ?? found ?? candidates;
  if (matches === null) return null;
  const { tenant } = question;
  const [since, until] = [Date.parse(question.since), Date.parse(question.until)];
  return {
    kind,
    figures,
    excuses,
    matches: (facts, stream) =>
      facts.tenant === tenant && facts.ms >= since && facts.ms < until && matches(facts, stream),
  };
}
