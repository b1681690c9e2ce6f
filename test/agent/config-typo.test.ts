import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { faultsOf, repositoryText } from '../support/config.ts';

const TEXT = repositoryText('config/sealtrail.yaml');
const FILES = { 'vocabulary.json': repositoryText('config/vocabulary.json') };

interface Key {
  readonly name: string;
  readonly from: number;
  readonly line: number;
  readonly siblings: readonly string[];
}

function keysOf(text: string): readonly Key[] {
  const lines = new LineCounter();
  const keys: Key[] = [];
  const collect = (node: unknown): void => {
    if (!isMap(node)) {
      const items: unknown =
        typeof node === 'object' && node !== null && 'items' in node && node.items;
      if (Array.isArray(items)) items.forEach(collect);
      return;
    }
    const siblings = node.items.map(({ key }) => (isScalar(key) ? String(key.value) : ''));
    for (const { key, value } of node.items) {
      if (isScalar(key) && key.range)
        keys.push({
          name: String(key.value),
          from: key.range[0],
          line: lines.linePos(key.range[0]).line,
          siblings,
        });
      collect(value);
    }
  };
  collect(parseDocument(text, { lineCounter: lines }).contents);
  return keys;
}

const KEYS = keysOf(TEXT);

/** Whether the slip lies in the type or in the name of type/name, and leaves both. */
function keepsSlash(name: string, mistyped: string): boolean {
  const slash = name.indexOf('/');
  if (slash < 0) return true;
  const [type, own] = [name.slice(0, slash + 1), name.slice(slash)];
  if (mistyped === type || mistyped === own) return false;
  return mistyped.startsWith(type) || mistyped.endsWith(own);
}

/** One slip of the finger in a key. */
const slip = fc
  .tuple(
    fc.constantFrom(...KEYS),
    fc.nat(),
    fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz_'),
    fc.constantFrom('drop', 'insert', 'replace', 'swap'),
  )
  .map(([key, position, letter, kind]) => {
    const { name } = key;
    const at = position % name.length;
    const [before, here, after] = [name.slice(0, at), name[at] ?? '', name.slice(at + 1)];
    const mistyped = {
      drop: before + after,
      insert: before + letter + here + after,
      replace: before + letter + after,
      swap: before + after.slice(0, 1) + here + after.slice(1),
    }[kind];
    return { key, mistyped };
  })
  .filter(
    ({ key: { name, siblings }, mistyped }) =>
      mistyped !== '' && !siblings.includes(mistyped) && keepsSlash(name, mistyped),
  );

test('the default configuration has keys of every kind to mistype', () => {
  const names = KEYS.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['receivers', 'file/ecs', 'standard', 'regime', 'id', 'audit']),
  );
  expect(names.length).toBeGreaterThan(40);
});

test('any single typo in a key is reported on its line, with the key that was meant', async () => {
  expect(await faultsOf(TEXT, { files: FILES })).toEqual([]);
  await fc.assert(
    fc.asyncProperty(slip, async ({ key, mistyped }) => {
      const text = TEXT.slice(0, key.from) + mistyped + TEXT.slice(key.from + key.name.length);
      const faults = await faultsOf(text, { files: FILES });
      const here = faults.filter(({ line }) => line === key.line).map(({ message }) => message);
      // Where the operator chooses the names, one that can be none is answered with the rule.
      const isChosen = key.siblings.includes('financial') && mistyped.startsWith('_');
      const answer = isChosen ? 'Names are lower case' : `"${key.name}"`;
      expect(here).toContainEqual(expect.stringContaining(answer));
      expect(here).toContainEqual(expect.stringContaining(`"${mistyped}"`));
    }),
    { numRuns: 250 },
  );
});
