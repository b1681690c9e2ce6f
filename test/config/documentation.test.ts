import { expect, test } from 'vitest';
import { followReference, SCHEMA, type SchemaNode } from '../support/config-schema.ts';
import { repositoryText } from '../support/config.ts';

interface Leaf {
  readonly path: string;
  readonly node: SchemaNode;
  readonly isRequired: boolean;
}

function* leavesOf(start: SchemaNode, path = '', isRequired = false): Generator<Leaf> {
  const node = followReference(start);
  const patterns = Object.entries(node.patternProperties ?? {}).map(
    ([pattern, member]): [string, SchemaNode] => [
      /^\^([a-z0-9]+)/.exec(pattern)?.[1] ?? 'NAME',
      member,
    ],
  );
  const members = [...Object.entries(node.properties ?? {}), ...patterns];
  for (const [name, member] of members)
    yield* leavesOf(
      member,
      path === '' ? name : `${path}.${name}`,
      node.required?.includes(name) ?? false,
    );
  const ofItems =
    members.length === 0 && node.items !== undefined ? followReference(node.items) : {};
  if (ofItems.properties !== undefined) yield* leavesOf(ofItems, `${path}[]`);
  else if (members.length === 0) yield { path, node, isRequired };
}

/** The line of docs/CONFIGURATION.md for a key. */
function rowOf({ path, node, isRequired }: Leaf): string {
  const { default: preset, minimum, maximum, type, items } = node;
  const word = typeof preset === 'string' ? preset : JSON.stringify(preset);
  const shown = preset === undefined ? (isRequired ? 'required' : '') : `\`${word}\``;
  const range = minimum === undefined ? '' : `${minimum} to ${maximum}`;
  const kind = node.enum?.join(', ') ?? (items === undefined ? String(type) : 'list of texts');
  const value =
    range === '' ? kind.replace('string', 'text').replace('boolean', 'true, false') : range;
  return `| \`${path}\` | ${shown} | ${value} | ${node.description} |`;
}

test('docs/CONFIGURATION.md has a line for every key, with its default and its range', () => {
  const lines = new Set(repositoryText('docs/CONFIGURATION.md').split('\n'));
  const rows = [...leavesOf(SCHEMA)].map(rowOf);
  expect(rows.length).toBeGreaterThan(60);
  expect(rows.filter((row) => row.includes('undefined'))).toEqual([]);
  expect(rows.filter((row) => !lines.has(row))).toEqual([]);
  const documented = [...lines].filter((line) => /^\| `[a-z][^`]*` \|/.test(line));
  expect(documented.filter((line) => !rows.includes(line))).toEqual([]);
});
