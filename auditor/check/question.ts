/**
 * The question of a bundle: that it is the one of the certificate, that it has the columns that the catalogue gives it, and
 * which records answer it. Pure.
 */
import { memberOf } from '../../schemas/untrusted-json.ts';
import type { Column, RecordOfRow } from '../answer.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { findQuestion } from '../catalogue.ts';
import { resolveAsked } from '../resolve.ts';
import { factsOf } from '../rules/facts.ts';
import { ruleOf } from '../rules/rule.ts';
import type { Tell } from './line.ts';
import type { BundleQuestion } from './read.ts';

/** Why a record does not answer the question; null: it does, or that is not known. */
export type Answers = (record: RecordOfRow, event: unknown) => string | null;

/** Checks it; what comes back judges the records of the rows. */
export function checkQuestion(
  certificate: Certificate,
  question: BundleQuestion,
  tell: Tell,
): Answers {
  const what = 'question';
  const same = ['asked', 'statement', 'login'] as const;
  const isSame = same.every(
    (name) => JSON.stringify(certificate[name]) === JSON.stringify(question[name]),
  );
  const { asked } = certificate;
  const known = findQuestion(String(asked.question));
  const resolved = isAsked(asked) ? resolveAsked(asked) : null;
  if (!isSame)
    tell({ what, state: 'failed', text: 'the certificate is about another question or statement' });
  else if (!known.ok || resolved?.ok !== true)
    tell({ what, state: 'open', text: 'this version does not know the question' });
  else {
    const other = question.columns.find((column) => !known.value.columns.some(isLike(column)));
    tell({
      what,
      state: other === undefined ? 'ok' : 'failed',
      text:
        other === undefined
          ? 'the certificate is about this question and this statement'
          : `the question has no column ${other.title}`,
    });
  }
  const rule = resolved?.ok === true ? ruleOf(resolved.value.resolved) : null;
  if (rule === null || rule.kind === 'figures') return () => null;
  return ({ stream, event_bytes }, event) =>
    rule.matches(factsOf(event, event_bytes), stream)
      ? null
      : 'the record does not answer the question';
}

const isLike =
  (one: Column) =>
  ({ name, title, kind }: Column): boolean =>
    one.name === name && one.title === title && one.kind === kind;

/** A certificate may have been made up. */
function isAsked(asked: Certificate['asked']): boolean {
  const parameters: unknown = memberOf(asked, 'parameters');
  return (
    typeof memberOf(asked, 'question') === 'string' &&
    typeof memberOf(asked, 'timeZone') === 'string' &&
    typeof parameters === 'object' &&
    parameters !== null &&
    Object.values(parameters).every((value) => typeof value === 'string')
  );
}
