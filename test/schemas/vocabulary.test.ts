import { describe, expect, test } from 'vitest';
import { AGENT_ACTIONS, AGENT_CATEGORY, definitionOf } from '../../schemas/agent-actions.ts';
import { ECS_TYPES } from '../../schemas/ecs-categories.ts';
import { OCSF_CLASSES } from '../../schemas/ocsf-classes.ts';
import {
  AGENT_ACTION_NAMES,
  parseVocabulary,
  type VocabularyError,
} from '../../schemas/vocabulary.ts';
import { exampleVocabulary } from '../support/definitions.ts';

const login = {
  action: 'user.login',
  category: 'authentication',
  description: 'A session began.',
  sensitivity: 'medium',
  fail_policy: 'fail_open',
  retention_class: 'security',
  ocsf: { class_uid: 3002, activity_id: 1 },
  ecs: { category: ['authentication'], type: ['start'] },
};

const fileOf = (...actions: readonly object[]): object => ({ version: 1, actions });

function faultsOf(value: unknown): readonly VocabularyError[] {
  const parsed = parseVocabulary(value);
  return parsed.ok ? [] : parsed.error;
}
const fieldsOf = (value: unknown): readonly string[] => faultsOf(value).map(({ field }) => field);

test('a sound vocabulary is read, action by action', () => {
  const parsed = parseVocabulary(fileOf(login, { ...login, action: 'user.logout' }));
  expect(parsed.ok && [...parsed.value.actions]).toEqual([
    ['user.login', login],
    ['user.logout', { ...login, action: 'user.logout' }],
  ]);
});

test('the example vocabulary is valid and has the actions that it promises', () => {
  const names = [...exampleVocabulary.actions.keys()];
  expect(names.length).toBeGreaterThanOrEqual(25);
  expect(names).toEqual(
    expect.arrayContaining([
      ...['customer.export', 'customer.delete', 'patient.record_read', 'user.login'],
      ...['user.impersonate', 'role.grant', 'payment.charge'],
    ]),
  );
});

test.each([
  [null, ''],
  [[], ''],
  ['actions', ''],
  [{ version: 1 }, '/actions'],
  [{ version: 2, actions: [login] }, '/version'],
  [{ version: 1, actions: [] }, '/actions'],
  [{ version: 1, actions: { login } }, '/actions'],
  [{ version: 1, actions: [login], extra: 1 }, '/extra'],
  [fileOf(login, {}), '/actions/1/action'],
  [{ version: 1, actions: [login, null] }, '/actions/1'],
  [fileOf({ ...login, action: 'User logs in' }), '/actions/0/action'],
  [fileOf({ ...login, action: 'login' }), '/actions/0/action'],
  [fileOf({ ...login, category: 'Security' }), '/actions/0/category'],
  [fileOf({ ...login, description: '' }), '/actions/0/description'],
  [fileOf({ ...login, sensitivity: 'top secret' }), '/actions/0/sensitivity'],
  [fileOf({ ...login, fail_policy: 'fail' }), '/actions/0/fail_policy'],
  [fileOf({ ...login, retention_class: 7 }), '/actions/0/retention_class'],
  [fileOf({ ...login, 'a/b': 7 }), '/actions/0/a~1b'],
  [fileOf({ ...login, ocsf: { class_uid: 3002 } }), '/actions/0/ocsf/activity_id'],
  [fileOf({ ...login, ocsf: { class_uid: 4, activity_id: 1 } }), '/actions/0/ocsf/class_uid'],
  [fileOf({ ...login, ocsf: { class_uid: 3002, activity_id: 8 } }), '/actions/0/ocsf/activity_id'],
  [fileOf({ ...login, ecs: { category: [], type: ['start'] } }), '/actions/0/ecs/category'],
  [
    fileOf({ ...login, ecs: { category: ['login'], type: ['start'] } }),
    '/actions/0/ecs/category/0',
  ],
  [fileOf({ ...login, ecs: { category: ['session'], type: ['user'] } }), '/actions/0/ecs/type/0'],
])('%j is refused with the field to blame: %s', (value, field) => {
  expect(fieldsOf(value)).toContain(field);
  for (const { message } of faultsOf(value)) expect(message).not.toBe('');
});

test('an action that stands twice is refused where it stands again', () => {
  expect(faultsOf(fileOf(login, { ...login, action: 'user.logout' }, login))).toEqual([
    { field: '/actions/2/action', message: 'user.login is declared twice; keep one of the two' },
  ]);
});

test('every fault is listed at once, those of form and those of meaning', () => {
  const faulty = fileOf(
    { ...login, fail_policy: 'fail' },
    { ...login, ecs: { category: ['iam', 'web'], type: ['user', 'denied'] } },
    { ...login, ocsf: { class_uid: 3002, activity_id: 44 } },
    { ...login, sensitivity: undefined, note: 'x' },
  );
  expect([...fieldsOf(faulty)].sort()).toEqual([
    '/actions/0/fail_policy',
    // denied in iam; user and denied in web.
    '/actions/1/ecs/type/0',
    '/actions/1/ecs/type/1',
    '/actions/1/ecs/type/1',
    '/actions/2/action',
    '/actions/2/ocsf/activity_id',
    '/actions/3/note',
    '/actions/3/sensitivity',
  ]);
});

test('a fault says what would be right', () => {
  const [fault] = faultsOf(fileOf({ ...login, ecs: { category: ['session'], type: ['user'] } }));
  expect(fault?.message).toContain('start, end, info');
});

test('every pair that the standards have is accepted, and no other', () => {
  const types = new Set([...ECS_TYPES.values()].flatMap((all) => [...all]));
  for (const [category, expected] of ECS_TYPES) {
    for (const type of types) {
      const accepted = faultsOf(fileOf({ ...login, ecs: { category: [category], type: [type] } }));
      expect(accepted.length === 0, `${category}/${type}`).toBe(expected.has(type));
    }
  }
  for (const [class_uid, { activities }] of OCSF_CLASSES) {
    for (let activity_id = 0; activity_id < 100; activity_id++) {
      const accepted = faultsOf(fileOf({ ...login, ocsf: { class_uid, activity_id } }));
      expect(accepted.length === 0, `${class_uid}/${activity_id}`).toBe(
        activities.has(activity_id),
      );
    }
  }
});

describe("the agent's own actions", () => {
  test.each(AGENT_ACTION_NAMES)('%s is defined, and no application may claim it', (action) => {
    const definition = AGENT_ACTIONS.get(action);
    expect(definition?.category).toBe(AGENT_CATEGORY);
    expect(faultsOf(fileOf({ ...login, action })).map(({ field }) => field)).toEqual([
      '/actions/0/action',
    ]);
    // Apart from the name, what the agent declares would pass its own gate.
    expect(faultsOf(fileOf({ ...definition, action: 'some.other' }))).toEqual([]);
  });

  test('definitionOf knows both, and says so of neither', () => {
    expect(definitionOf(exampleVocabulary, 'user.login')?.category).toBe('authentication');
    expect(definitionOf(exampleVocabulary, 'ledger.genesis')?.category).toBe(AGENT_CATEGORY);
    expect(definitionOf(exampleVocabulary, 'retired.action')).toBeNull();
  });
});
