/** What deploy/kibana asks for is in the documents that the agent delivers: every field, by the mapping and by ECS. */
import { expect, test } from 'vitest';
import { MAPPING_TABLE } from '../../schemas/mapping-table.ts';
import { AGENT_ACTION_NAMES } from '../../schemas/vocabulary.ts';
import { repositoryText } from '../support/config.ts';
import { readEcsStandard } from '../support/ecs-check.ts';
import { describeShared } from '../support/shared.ts';

interface SavedObject {
  readonly type: string;
  readonly id: string;
  readonly attributes: {
    readonly title: string;
    readonly columns?: readonly string[];
    readonly panelsJSON?: string;
    readonly kibanaSavedObjectMeta?: { readonly searchSourceJSON: string };
  };
  readonly references: readonly {
    readonly name: string;
    readonly type: string;
    readonly id: string;
  }[];
}

const OBJECTS = repositoryText('deploy/kibana/sealtrail.ndjson')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as SavedObject);
const QUERIES = repositoryText('deploy/kibana/sealtrail.esql').trim().split('\n\n');

/** Fields of the mapping's table, ECS side, and those that every document has besides. */
const MAPPED = new Set([
  ...MAPPING_TABLE.flatMap(({ ecs }) => ecs?.match(/[@a-z_]+(?:\.[a-z_]+)*/g) ?? []),
  ...['event.dataset', 'agent.name', 'message'],
]);
/** Names on the left of a comparison of KQL. */
const kqlFields = (query: string): string[] =>
  [...query.matchAll(/([@\w.]+) : /g)].map((match) => match[1] ?? '');

/** Dotted names, and @timestamp; texts, comments and the index left out. */
const esqlFields = (query: string): string[] =>
  query.replace(/^\/\/.*$|"[^"]*"|^FROM .*$/gm, '').match(/@timestamp|\b[a-z_]+(?:\.[a-z_]+)+/g) ??
  [];

describeShared('the fields that deploy/kibana asks for', () => {
  const ECS = readEcsStandard().fields;

  function faultOf(field: string): string | null {
    // Below `metadata` are the application's own names.
    const mapped = field.replace(/^(sealtrail\.metadata)\..*$/, '$1');
    if (!MAPPED.has(mapped)) return `${field} is in no document`;
    if (field.startsWith('sealtrail.') || ECS[field] !== undefined) return null;
    return `${field} is no field of ECS`;
  }

  test('every field that a saved search asks for or shows is one that documents have', () => {
    const searches = OBJECTS.filter(({ type }) => type === 'search');
    expect(searches).toHaveLength(6);
    for (const { id, attributes } of searches) {
      const source = JSON.parse(attributes.kibanaSavedObjectMeta?.searchSourceJSON ?? '{}') as {
        query: { query: string; language: string };
      };
      expect(source.query.language).toBe('kuery');
      const asked = kqlFields(source.query.query);
      expect(asked.length, id).toBeGreaterThan(0);
      for (const field of [...asked, ...(attributes.columns ?? [])])
        expect([id, faultOf(field)]).toEqual([id, null]);
    }
  });

  test('every field of an ES|QL query is one that documents have, and none is of a kind that ES|QL cannot read', () => {
    expect(QUERIES).toHaveLength(6);
    for (const query of QUERIES) {
      const [question = '', from = '', ...steps] = query.split('\n');
      expect(question).toMatch(/^\/\/ [A-Z]/);
      expect(from).toMatch(/^FROM logs-[a-z.*-]+$/);
      for (const step of steps) expect(step).toMatch(/^\| (WHERE|STATS|SORT|KEEP|EVAL) /);
      const fields = esqlFields(query);
      expect(fields.length, question).toBeGreaterThan(1);
      for (const field of fields) {
        expect([question, faultOf(field)]).toEqual([question, null]);
        expect(field).not.toMatch(/^sealtrail\.(metadata|origin)/);
      }
      for (const [open, close] of ['()', '[]'].map((pair) => pair.split('') as [string, string]))
        expect(query.split(open).length).toBe(query.split(close).length);
    }
  });

  test('the check finds a field that is not there', () => {
    expect(faultOf('user.nickname')).toMatch(/in no document/);
    expect(faultOf('sealtrail.metadata.whatever')).toBeNull();
  });
});

test('ids are unique, every reference leads to one of them, and the dashboard shows each search once', () => {
  const ids = OBJECTS.map(({ type, id }) => `${type} ${id}`);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { references } of OBJECTS)
    for (const { type, id } of references) expect(ids).toContain(`${type} ${id}`);
  const dashboard = OBJECTS.find(({ type }) => type === 'dashboard');
  const panels = JSON.parse(dashboard?.attributes.panelsJSON ?? '[]') as {
    gridData: { x: number; y: number };
    panelRefName: string;
  }[];
  expect(panels.map(({ panelRefName }) => panelRefName)).toEqual(
    dashboard?.references.map(({ name }) => name),
  );
  expect(new Set(panels.map(({ gridData: { x, y } }) => `${x},${y}`)).size).toBe(6);
});

test('every action that is asked for is recorded by somebody, and who read the trail is asked for', () => {
  const vocabulary = JSON.parse(repositoryText('config/vocabulary.json')) as {
    readonly actions: readonly { readonly action: string }[];
  };
  const actions = [...AGENT_ACTION_NAMES, ...vocabulary.actions.map(({ action }) => action)];
  const texts = OBJECTS.map(
    ({ attributes }) =>
      attributes.kibanaSavedObjectMeta?.searchSourceJSON.replaceAll('\\"', '"') ?? '',
  );
  const asked = [...texts, ...QUERIES].flatMap((text) =>
    [...text.matchAll(/event\.action (?::|==) (?:\(([^)]*)\)|"([^"]*)")/g)].flatMap(
      ([, many, one]) => one ?? many?.replaceAll('"', '').split(' or ') ?? [],
    ),
  );
  expect(asked).toEqual(expect.arrayContaining(['trail.read', 'trail.read_refused', 'user.login']));
  for (const name of asked)
    expect(
      actions.some((action) =>
        name.endsWith('*') ? action.startsWith(name.slice(0, -1)) : action === name,
      ),
      name,
    ).toBe(true);
});
