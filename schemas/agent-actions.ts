/**
 * The agent's own actions: what it records about itself, in its own tenant or at the head of the
 * stream it opens. They need no entry in a vocabulary file, and none may claim their names.
 */
import type { ActionDefinition, AgentActionName, Vocabulary } from './vocabulary.ts';

/** Category of every event of the agent about itself. */
export const AGENT_CATEGORY = 'audit_trail';

type Facts = Pick<ActionDefinition, 'description' | 'sensitivity' | 'ocsf' | 'ecs'>;

const STORAGE = { category: ['database'], type: ['info'] };

const FACTS: Readonly<Record<AgentActionName, Facts>> = {
  'agent.reloaded': {
    description: 'The agent read its configuration again; metadata names the sections, no values.',
    sensitivity: 'high',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: { category: ['configuration'], type: ['change'] },
  },
  'agent.started': {
    description: 'The agent began to take events.',
    sensitivity: 'medium',
    ocsf: { class_uid: 6002, activity_id: 3 },
    ecs: { category: ['process'], type: ['start'] },
  },
  'agent.stopped': {
    description: 'The agent stopped in order; what follows from it has another start.',
    sensitivity: 'medium',
    ocsf: { class_uid: 6002, activity_id: 4 },
    ecs: { category: ['process'], type: ['end'] },
  },
  'audit.failure': {
    description: 'An audited action went on although its event could not be recorded in time.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: STORAGE,
  },
  'auditor.granted': {
    description: 'A database login may see tenants of the trail; failure: the store refused.',
    sensitivity: 'critical',
    ocsf: { class_uid: 3005, activity_id: 1 },
    ecs: { category: ['iam'], type: ['admin', 'change'] },
  },
  'auditor.revoked': {
    description: 'A database login may see fewer tenants, or none; failure: the store refused.',
    sensitivity: 'critical',
    ocsf: { class_uid: 3005, activity_id: 2 },
    ecs: { category: ['iam'], type: ['admin', 'change'] },
  },
  'delivery.skipped': {
    description:
      'A best-effort sink did not get records: more waited for it than its bound allows.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: STORAGE,
  },
  'hold.lifted': {
    description: 'A legal hold was lifted; failure: it stands, for the store refused.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6005, activity_id: 99 },
    ecs: { category: ['configuration'], type: ['deletion'] },
  },
  'hold.placed': {
    description: 'A legal hold was placed; failure: it was not, for the store refused.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6005, activity_id: 99 },
    ecs: { category: ['configuration'], type: ['creation'] },
  },
  'key.revoke': {
    description: 'A signing key is not to be believed any more; metadata names it and says why.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: { category: ['configuration'], type: ['change'] },
  },
  'key.rotate': {
    description:
      'Another signing key takes over, said under the old one; metadata names both keys.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: { category: ['configuration'], type: ['change'] },
  },
  'ledger.disk_full': {
    description: 'The ledger had no space left (failure), or has space again (success).',
    sensitivity: 'high',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: STORAGE,
  },
  'ledger.genesis': {
    description:
      'The first record of a stream: names agent, software, public key and tenant label.',
    sensitivity: 'medium',
    ocsf: { class_uid: 6005, activity_id: 6 },
    ecs: { category: ['database'], type: ['change'] },
  },
  'ledger.recovered': {
    description: 'After a crash a torn tail, never acked, was set aside.',
    sensitivity: 'high',
    ocsf: { class_uid: 6005, activity_id: 2 },
    ecs: { category: ['database'], type: ['change'] },
  },
  'ledger.rolled_back': {
    description:
      'At a start the ledger was older than what had left it: a copy was put in place; a new incarnation began.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: STORAGE,
  },
  'ledger.segment_removed': {
    description:
      'The oldest segment of the ledger goes: the store has it, and its local time is over.',
    sensitivity: 'high',
    ocsf: { class_uid: 6005, activity_id: 99 },
    ecs: { category: ['database'], type: ['change'] },
  },
  'producer.gap': {
    description: "A producer's numbers do not follow on one another: events may be missing.",
    sensitivity: 'critical',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: STORAGE,
  },
  'retention.classes_set': {
    description: 'How long classes are kept in the store was set; metadata names days and regimes.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6002, activity_id: 99 },
    ecs: { category: ['configuration'], type: ['change'] },
  },
  'retention.purge': {
    description:
      'The expired beginning of a stream leaves the store; metadata says how much, and proves it.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6005, activity_id: 99 },
    ecs: { category: ['database'], type: ['change'] },
  },
  'trail.read': {
    description: 'Somebody asked the trail a question that was answered; metadata says which.',
    sensitivity: 'medium',
    ocsf: { class_uid: 6005, activity_id: 4 },
    ecs: { category: ['database'], type: ['access'] },
  },
  'trail.read_refused': {
    description:
      'Somebody asked about a tenant that is not theirs, or far too often; it was not answered.',
    sensitivity: 'critical',
    ocsf: { class_uid: 6005, activity_id: 4 },
    ecs: { category: ['database'], type: ['access'] },
  },
};

/** Definitions of the agent's own actions, by name. */
export const AGENT_ACTIONS: ReadonlyMap<string, ActionDefinition> = new Map(
  Object.entries(FACTS).map(([action, facts]) => [
    action,
    {
      action,
      category: AGENT_CATEGORY,
      fail_policy: 'fail_open',
      retention_class: 'standard',
      ...facts,
    },
  ]),
);

/** What an action means; null where neither the vocabulary (any more) nor the agent declares it. */
export function definitionOf(vocabulary: Vocabulary, action: string): ActionDefinition | null {
  return vocabulary.actions.get(action) ?? AGENT_ACTIONS.get(action) ?? null;
}
