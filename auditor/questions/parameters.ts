/** Parameters that several questions have, and the conditions they stand for. */
import type { Parameter } from '../answer.ts';
import { NOTHING, sql, type Sql } from '../sql.ts';
import type { Resolved } from './question.ts';

export const ACTOR: Parameter = {
  name: 'actor',
  title: 'Actor',
  help: 'who acted: the id of the person or service, as the events show it',
  kind: 'text',
  example: 'u_admin_alice',
};

/** All values that stand for any. */
export const ANY = '*';

/**
 * Actions on health and financial data in config/vocabulary.json: those of its retention classes `health` and
 * `financial`. The store knows no sensitivity; whoever has a vocabulary of their own names its actions.
 */
export const SENSITIVE_ACTIONS: readonly string[] = [
  ...['patient.record_read', 'patient.record_update', 'patient.emergency_access'],
  ...['prescription.create', 'payment.charge_request', 'payment.charge', 'payment.refund'],
  ...['payout.approve', 'invoice.read'],
];

export const ACTIONS: Parameter = {
  name: 'actions',
  title: 'Actions',
  help: 'which actions are an access to sensitive data, with commas between them; * for all actions. What stands here are those of the vocabulary that Sealtrail comes with: if your applications have another, name its actions',
  kind: 'text',
  default: SENSITIVE_ACTIONS.join(','),
  example: 'patient.record_read,invoice.read',
};

/** Of the actions that were asked for, in no particular order. */
export function actionIn(question: Resolved): Sql {
  const actions = question.list('actions');
  return actions.includes(ANY) ? NOTHING : sql`AND r.action = ANY (${actions}::text[])`;
}

export const OUTCOME: Parameter = {
  name: 'outcome',
  title: 'Outcome',
  help: 'how it ended: all events, or those alone that succeeded, failed, or were denied',
  kind: 'choice',
  choices: ['any', 'success', 'failure', 'denied'],
  default: 'any',
  example: 'denied',
};

export function outcomeIs(question: Resolved): Sql {
  const outcome = question.text('outcome');
  return outcome === 'any' ? NOTHING : sql`AND r.outcome = ${outcome}`;
}
