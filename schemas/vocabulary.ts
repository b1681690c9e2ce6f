/**
 * The action vocabulary: the actions an application may record, declared in a file that is
 * reviewed like an API. A free-text action is refused at the door. The form of the file is
 * vocabulary.schema.json; what JSON Schema cannot say is checked here.
 */
import { ECS_TYPES } from './ecs-categories.ts';
import { validate, type ValidationError } from './generated/vocabulary.js';
import { OCSF_CLASSES } from './ocsf-classes.ts';
import { err, ok, type Result } from './result.ts';

export type Sensitivity = 'low' | 'medium' | 'high' | 'critical';
export type FailPolicy = 'fail_closed' | 'fail_open';

/** What one action means, to us and to the SIEM. */
export interface ActionDefinition {
  /** Dotted lower case, `noun.verb`: `customer.export`. */
  readonly action: string;
  /** Our category, free of the SIEM's: `data_access`, `authentication`, … */
  readonly category: string;
  readonly description: string;
  readonly sensitivity: Sensitivity;
  readonly fail_policy: FailPolicy;
  /** Name of a class in the configuration's `retention.classes`. */
  readonly retention_class: string;
  /** OCSF 1.8 class and activity, by uid. */
  readonly ocsf: { readonly class_uid: number; readonly activity_id: number };
  /** ECS allowed values; every category/type pair MUST be one that ECS allows. */
  readonly ecs: { readonly category: readonly string[]; readonly type: readonly string[] };
}

export interface Vocabulary {
  readonly version: 1;
  readonly actions: ReadonlyMap<string, ActionDefinition>;
}

export interface VocabularyError {
  /** JSON pointer into the file. */
  readonly field: string;
  readonly message: string;
}

/** Names that the agent records about itself (definitions: agent-actions.ts). */
export const AGENT_ACTION_NAMES = [
  'agent.reloaded',
  'agent.started',
  'agent.stopped',
  'audit.failure',
  'auditor.granted',
  'auditor.revoked',
  'delivery.skipped',
  'hold.lifted',
  'hold.placed',
  'key.revoke',
  'key.rotate',
  'ledger.disk_full',
  'ledger.genesis',
  'ledger.recovered',
  'ledger.rolled_back',
  'ledger.segment_removed',
  'producer.gap',
  'retention.classes_set',
  'retention.purge',
  'trail.read',
  'trail.read_refused',
] as const;
export type AgentActionName = (typeof AGENT_ACTION_NAMES)[number];

/** Reads a parsed vocabulary file (`{version: 1, actions: [...]}`); lists every fault it finds. */
export function parseVocabulary(value: unknown): Result<Vocabulary, readonly VocabularyError[]> {
  const faults = validate(value) ? [] : (validate.errors ?? []).map(describe);
  const actions = new Map<string, ActionDefinition>();
  for (const [index, definition] of wellFormed(value, faults)) {
    const at = `/actions/${index}`;
    if (actions.has(definition.action)) {
      const message = `${definition.action} is declared twice; keep one of the two`;
      faults.push({ field: `${at}/action`, message });
    }
    faults.push(...checkMeaning(definition, at));
    actions.set(definition.action, definition);
  }
  return faults.length === 0 ? ok({ version: 1, actions }) : err(faults);
}

/** The actions in whose form there is no fault, with their places in the file. */
function wellFormed(
  value: unknown,
  faults: readonly VocabularyError[],
): readonly (readonly [number, ActionDefinition])[] {
  if (typeof value !== 'object' || value === null || !('actions' in value)) return [];
  if (!Array.isArray(value.actions)) return [];
  const malformed = new Set(faults.map(({ field }) => field.split('/')[2]));
  // The validator has just passed what is left.
  const actions = value.actions as readonly ActionDefinition[];
  return [...actions.entries()].filter(([index]) => !malformed.has(String(index)));
}

function checkMeaning(definition: ActionDefinition, at: string): readonly VocabularyError[] {
  const faults: VocabularyError[] = [];
  const blame = (field: string, message: string): void => {
    faults.push({ field: `${at}/${field}`, message });
  };
  const { action, ocsf, ecs } = definition;
  if (AGENT_ACTION_NAMES.some((name) => name === action)) {
    blame('action', `${action} is recorded by the agent itself; choose another name`);
  }
  const activities = OCSF_CLASSES.get(ocsf.class_uid)?.activities;
  if (activities === undefined) {
    const known = [...OCSF_CLASSES.keys()].join(', ');
    blame('ocsf/class_uid', `${ocsf.class_uid} is no class that is mapped; use one of ${known}`);
  } else if (!activities.has(ocsf.activity_id)) {
    const known = [...activities].map(([id, name]) => `${id} ${name}`).join(', ');
    blame(
      'ocsf/activity_id',
      `class ${ocsf.class_uid} has no activity ${ocsf.activity_id}; use one of ${known}`,
    );
  }
  for (const [index, category] of ecs.category.entries()) {
    const types = ECS_TYPES.get(category);
    if (types === undefined) {
      const known = [...ECS_TYPES.keys()].join(', ');
      blame(`ecs/category/${index}`, `"${category}" is no ECS category; use one of ${known}`);
      continue;
    }
    for (const [place, type] of ecs.type.entries()) {
      if (types.has(type)) continue;
      const known = [...types].join(', ');
      blame(
        `ecs/type/${place}`,
        `ECS does not expect type "${type}" in category ${category}; use one of ${known}`,
      );
    }
  }
  return faults;
}

function describe(error: ValidationError): VocabularyError {
  const at = error.instancePath;
  const named = (name: unknown): string =>
    `${at}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
  switch (error.keyword) {
    case 'required':
      return { field: named(error.params['missingProperty']), message: 'is missing' };
    case 'additionalProperties':
      return {
        field: named(error.params['additionalProperty']),
        message: 'is no member of this object; remove it or correct its name',
      };
    case 'enum':
      return {
        field: at,
        message: `must be one of ${JSON.stringify(error.params['allowedValues'])}`,
      };
    case 'const':
      return { field: at, message: `must be ${JSON.stringify(error.params['allowedValue'])}` };
    default:
      return { field: at, message: error.message ?? 'has a wrong form' };
  }
}
