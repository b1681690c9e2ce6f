/**
 * Which records answer a question, said once more in plain code: so that an answer can be held against records that were
 * verified, and a row that a database keeps back is missed. It shares the question's parameters with the statement, and
 * nothing else. Pure.
 */
import { indexableResourceId } from '../../store/rows.ts';
import type { Resolved } from '../questions/question.ts';
import type { Facts } from './facts.ts';
import { isOffHours } from './hours.ts';

export type Matches = (facts: Facts) => boolean;
/** What a question asks for beside its tenant and its time. */
type Rule = (question: Resolved) => Matches;

const TICKET = /[A-Z]{1,10}-[0-9]{1,12}/;
const COUNT = /^[0-9]{1,30}(?:\.[0-9]{1,30})?$/;

const hasOutcome: Rule = (question) => {
  const wanted = question.text('outcome');
  return ({ outcome }) => wanted === 'any' || outcome === wanted;
};

/** Of an action that was asked for. */
export function hasAction(question: Resolved): Matches {
  const actions = new Set(question.list('actions'));
  return ({ action }) => actions.has('*') || actions.has(action);
}

/** The ticket that an event names; '' for none. */
export function ticketOf({ said }: Facts): string {
  return said('ticket') || (TICKET.exec(said('reason') ?? '')?.[0] ?? '');
}

/** A long id is filed as its beginning and its digest, and may be asked for so. */
const isResource = (id: string): Matches => {
  const wanted = indexableResourceId(id);
  return ({ resourceId }) => indexableResourceId(resourceId) === wanted;
};

export const RECORD_RULES: Readonly<Record<string, Rule>> = {
  'all-activity': hasOutcome,
  'actor-activity': (question) => {
    const [actor, isWanted] = [question.text('actor'), hasOutcome(question)];
    return (facts) => facts.actor === actor && isWanted(facts);
  },
  'resource-history': (question) => {
    const [type, isWanted] = [question.text('type'), isResource(question.text('id'))];
    return (facts) => facts.resourceType === type && isWanted(facts);
  },
  'action-occurrences': (question) => {
    const [action, isWanted] = [question.text('action'), hasOutcome(question)];
    return (facts) => facts.action === action && isWanted(facts);
  },
  impersonations: (question) => {
    const actor = question.text('actor');
    return (facts) => facts.actor === actor && facts.onBehalfOf !== null;
  },
  'access-without-ticket': (question) => {
    const isWanted = hasAction(question);
    return (facts) => facts.outcome === 'success' && isWanted(facts) && ticketOf(facts) === '';
  },
  'subject-activity': (question) => {
    const subject = question.text('subject');
    const isRecord = isResource(subject);
    return (facts) => facts.actor === subject || facts.onBehalfOf === subject || isRecord(facts);
  },
  'off-hours': (question) => {
    const [actor, category] = [question.text('actor'), question.text('category')];
    const isOff = isOffHours(question);
    return (facts) =>
      ['', facts.actor].includes(actor) &&
      ['*', facts.category].includes(category) &&
      isOff(facts.ms);
  },
  'exports-over-rows': (question) => {
    const action = question.text('action');
    const least = scaled(String(Number(question.number('rows').toPrecision(15))));
    return (facts) => {
      if (facts.action !== action) return false;
      const count = facts.said('row_count') ?? '';
      return COUNT.test(count) && scaled(count) > least;
    };
  },
};

/** Exact beyond 2^53: thirty places behind the point. */
function scaled(decimal: string): bigint {
  const [whole = '0', fraction = ''] = decimal.split('.');
  return BigInt(whole + fraction.padEnd(30, '0'));
}
