/**
 * The question of a bundle: that it is the one of the certificate, that it has the columns that the catalogue gives it, and
 * which records answer it. Pure.
 */
import type { Column, RecordOfRow } from '../answer.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { findQuestion } from '../catalogue.ts';
import type { Resolved } from '../questions/question.ts';
import { resolveAsked } from '../resolve.ts';
import { factsOf } from '../rules/facts.ts';
import { ruleOf } from '../rules/rule.ts';
import type { Tell } from './line.ts';
import type { BundleQuestion } from './read.ts';

/** What is known of the rows that answer a question. */
export interface KnownAnswer {
  /** Of each column, and of no other, a row has a value. */
  readonly columns: readonly Column[];
  /** Null: this version does not know the question, or its time zone. */
  readonly resolved: Resolved | null;
  /** Whether a row is a record, or a figure; null: that is not known. */
  readonly isRecord: boolean | null;
  /** Other records, of which some are not in the bundle, make a record a row: an earlier access, a ticket, a number before it. */
  readonly isByOthers: boolean;
  /** Why a record does not answer the question; null: it does, or that is not known. */
  answers(record: RecordOfRow, event: unknown): string | null;
}

/** Checks it; what comes back judges the rows. */
export function checkQuestion(
  certificate: Certificate,
  question: BundleQuestion,
  tell: Tell,
): KnownAnswer {
  const what = 'question';
  const same = ['asked', 'statement', 'login'] as const;
  const isSame = same.every(
    (name) => JSON.stringify(certificate[name]) === JSON.stringify(question[name]),
  );
  const { asked } = certificate;
  const known = findQuestion(asked.question);
  const resolved = resolveAsked(asked);
  if (!isSame)
    tell({ what, state: 'failed', text: 'the certificate is about another question or statement' });
  else if (!known.ok || !resolved.ok)
    tell({
      what,
      state: 'open',
      text: 'this version does not know the question, or its time zone',
    });
  else {
    const other = findOther(question.columns, known.value.columns);
    tell({
      what,
      state: other === undefined ? 'ok' : 'failed',
      text:
        other === undefined
          ? 'the certificate is about this question and this statement'
          : `the question has no column ${other.title} in this place`,
    });
  }
  const asResolved = resolved.ok ? resolved.value.resolved : null;
  const rule = asResolved === null ? null : ruleOf(asResolved);
  return {
    columns: question.columns,
    resolved: asResolved,
    isRecord: rule && rule.kind !== 'figures',
    isByOthers: rule?.kind === 'excused' || rule?.kind === 'candidates',
    answers: ({ stream, event_bytes }, event) =>
      rule?.matches(factsOf(event, event_bytes), stream) === false
        ? 'the record does not answer the question'
        : null,
  };
}

/** The first column that does not stand among those of the catalogue, in their order; undefined: all do. */
function findOther(columns: readonly Column[], known: readonly Column[]): Column | undefined {
  let next = 0;
  return columns.find((column) => {
    const at = known.findIndex((one, place) => place >= next && isLike(column)(one));
    next = at + 1;
    return at === -1;
  });
}

const isLike =
  (one: Column) =>
  ({ name, title, kind }: Column): boolean =>
    one.name === name && one.title === title && one.kind === kind;
