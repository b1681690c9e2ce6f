/** Definitions of actions for tests of the mappings: the example vocabulary's, and any legal one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { AGENT_ACTIONS } from '../../schemas/agent-actions.ts';
import { ECS_TYPES } from '../../schemas/ecs-categories.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { OCSF_CLASSES } from '../../schemas/ocsf-classes.ts';
import {
  parseVocabulary,
  type ActionDefinition,
  type Vocabulary,
} from '../../schemas/vocabulary.ts';
import { recordsOf } from './event-arbitraries.ts';

const file: unknown = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../config/vocabulary.json'), 'utf8'),
);
const parsed = parseVocabulary(file);
if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));

/** The example vocabulary of config/. */
export const exampleVocabulary: Vocabulary = parsed.value;

const declared = [...exampleVocabulary.actions.values(), ...AGENT_ACTIONS.values()];

const pairs = fc
  .constantFrom(...OCSF_CLASSES)
  .chain(([class_uid, { activities }]) =>
    fc.constantFrom(...activities.keys()).map((activity_id) => ({ class_uid, activity_id })),
  );
const categories = fc
  .constantFrom(...ECS_TYPES)
  .chain(([category, types]) =>
    fc
      .uniqueArray(fc.constantFrom(...types), { minLength: 1, maxLength: 3 })
      .map((type) => ({ category: [category], type })),
  );

/** Any definition that parseVocabulary may let through: every OCSF class and ECS category. */
const anyDefinition: fc.Arbitrary<ActionDefinition> = fc.record({
  action: fc.constantFrom('any.action', 'customer.export'),
  category: fc.constant('data_access'),
  description: fc.constant('Anything.'),
  sensitivity: fc.constantFrom('low', 'medium', 'high', 'critical'),
  fail_policy: fc.constantFrom('fail_closed', 'fail_open'),
  retention_class: fc.constant('standard'),
  ocsf: pairs,
  ecs: categories,
});

/** What a mapping gets: a record, and its definition or null. */
export interface Mapped {
  readonly record: SealedRecord;
  readonly definition: ActionDefinition | null;
}

/** Declared actions, any legal definition, and actions that no vocabulary has (any more). */
export const mappings: fc.Arbitrary<Mapped> = fc
  .oneof(
    { weight: 4, arbitrary: fc.constantFrom(...declared) },
    { weight: 4, arbitrary: anyDefinition },
    { weight: 1, arbitrary: fc.constant(null) },
  )
  .chain((definition) =>
    recordsOf([definition?.action ?? 'retired.action']).map((record) => ({ record, definition })),
  );
