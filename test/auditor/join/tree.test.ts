/** The tree of a request's spans, and where its time went. */
import { expect, test } from 'vitest';
import { selfMs, timeSpent } from '../../../auditor/join/time-spent.ts';
import { buildTree, type Tree } from '../../../auditor/join/tree.ts';
import { idOf, span } from './spans.ts';

const NONE = new Set<string>();
const shape = (tree: Tree): string[] =>
  tree.nodes.map(({ span: { name }, depth }) => `${' '.repeat(depth)}${name}`);
const selfOf = (tree: Tree, name: string): number => {
  const node = tree.nodes.find((one) => one.span.name === name);
  return node === undefined ? -1 : selfMs(node, tree.nodes);
};

test('each span stands below its parent, children by time, and self time is what no child covers', () => {
  const tree = buildTree(
    [
      span('upload', 40, 200, { parent: 'handler' }),
      span('handler', 0, 220),
      span('query', 5, 35, { parent: 'handler' }),
    ],
    NONE,
  );
  expect(shape(tree)).toEqual(['handler', ' query', ' upload']);
  expect(tree.totalMs).toBeCloseTo(220, 3);
  expect(selfOf(tree, 'handler')).toBeCloseTo(30, 3);
  const [most] = timeSpent(tree);
  expect(most).toMatchObject({ name: 'upload', spans: 1 });
  expect(most?.share).toBeCloseTo(160 / 220, 3);
});

test('what runs side by side shares its time: the shares add up to the whole', () => {
  const tree = buildTree(
    [
      span('handler', 0, 100),
      ...[0, 1, 2, 3].map((n) => span('fetch', 10, 90, { id: `f${n}`, parent: 'handler' })),
      span('late', 80, 140, { parent: 'handler' }),
    ],
    NONE,
  );
  const spent = timeSpent(tree);
  expect(spent.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
  expect(spent[0]).toMatchObject({ name: 'fetch', spans: 4 });
  expect(spent[0]?.ms).toBeCloseTo(70 + (10 * 4) / 5, 3);
});

test('many short spans of one name outweigh a long one: they are counted together', () => {
  const queries = Array.from({ length: 50 }, (_, n) =>
    span('query', n * 2, n * 2 + 1.5, { id: `q${n}`, parent: 'handler' }),
  );
  const tree = buildTree([span('handler', 0, 100), ...queries], NONE);
  expect(timeSpent(tree)[0]).toMatchObject({ name: 'query', spans: 50 });
});

test('a span that came twice counts once, the longer one', () => {
  const tree = buildTree([span('handler', 0, 0), span('handler', 0, 90)], NONE);
  expect([tree.nodes.length, tree.duplicates, tree.totalMs]).toEqual([1, 1, 90]);
});

test('what hangs below a span that is not there begins a tree of its own, and is marked', () => {
  const tree = buildTree([span('handler', 0, 50), span('query', 10, 20, { parent: 'lost' })], NONE);
  expect(shape(tree)).toEqual(['handler', 'query']);
  expect(tree.nodes.map(({ isOrphan }) => isOrphan)).toEqual([false, true]);
  expect(tree.orphans).toBe(1);
});

test('a ring of parents, or a span that is its own, ends', () => {
  const ring = [span('a', 0, 9, { parent: 'b' }), span('b', 1, 8, { parent: 'a' })];
  expect(shape(buildTree([...ring, span('c', 0, 1, { parent: 'c' })], NONE)).sort()).toEqual([
    ' b',
    'a',
    'c',
  ]);
});

test('an answer that its own clock puts outside of the call is moved into it, and what it called with it', () => {
  const skewed = [
    span('call', 0, 100),
    span('serve', 5_000, 5_060, { parent: 'call', service: 'files', isServer: true }),
    span('write', 5_010, 5_050, { parent: 'serve', service: 'files' }),
  ];
  const tree = buildTree(skewed, NONE);
  expect(tree.totalMs).toBeCloseTo(100, 3);
  expect(tree.nodes[1]?.startMs).toBeCloseTo(20, 3);
  expect(tree.nodes[2]?.startMs).toBeCloseTo(30, 3);
  expect(tree.nodes[1]?.skewMs).toBeCloseTo(-4_980, 3);
  // Clocks that agree are left alone, and so is work that goes on after the call.
  const later = span('consume', 300, 350, { parent: 'call', service: 'files' });
  const untouched = buildTree([span('call', 0, 100), later], NONE);
  expect(untouched.nodes[1]?.skewMs).toBe(0);
});

test('spans of another request in the same trace are left out, with all below them; what ours called stays', () => {
  const of = (request: string): object => ({ attributes: { request_id: request } });
  const tree = buildTree(
    [
      span('batch', 0, 100),
      span('first', 0, 40, { parent: 'batch', ...of('req-1') }),
      span('second', 50, 90, { parent: 'batch', ...of('req-2') }),
      span('below second', 60, 70, { parent: 'second', id: 'x' }),
      span('gateway', 10, 20, { parent: 'first', ...of('gw-77') }),
    ],
    new Set(['req-1']),
  );
  expect(shape(tree)).toEqual(['batch', ' first', '  gateway']);
  expect(tree.leftOut).toBe(2);
});

test('a chain of thirty thousand spans is built without recursion', () => {
  const count = 30_000;
  const chain = Array.from({ length: count }, (_, n) => ({
    ...span('step', n, count * 2 - n),
    spanId: n.toString(16).padStart(16, '0'),
    parentId: n === 0 ? null : (n - 1).toString(16).padStart(16, '0'),
  }));
  const tree = buildTree(chain, NONE);
  expect(tree.nodes.at(-1)?.depth).toBe(count - 1);
  expect(timeSpent(tree)[0]?.share).toBeCloseTo(1, 6);
  expect(idOf('a')).toHaveLength(16);
});
