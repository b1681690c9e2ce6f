import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const LINES_MAX = 300;

/** Who may import whom; a folder may always import itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  redaction: ['schemas'],
  ledger: ['schemas'],
  store: ['schemas', 'ledger'],
  auditor: ['schemas', 'ledger', 'store'],
  sdk: ['schemas', 'redaction'],
  agent: ['schemas', 'redaction', 'ledger', 'store'],
  // Apart from the auditor: what generates the demonstration shares nothing with what investigates it.
  demo: ['schemas', 'redaction', 'ledger', 'store', 'agent'],
  cli: ['schemas', 'redaction', 'ledger', 'store', 'auditor', 'sdk', 'agent', 'demo'],
  examples: ['sdk'],
  bench: ['schemas', 'redaction', 'ledger', 'store', 'auditor', 'sdk', 'agent', 'cli'],
  test: [
    ...['schemas', 'redaction', 'ledger', 'store', 'auditor', 'sdk', 'agent', 'cli'],
    ...['demo', 'bench', 'examples'],
  ],
};
/** Packages that each folder may use at run time; a new one needs an ADR. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  redaction: [],
  ledger: ['@noble/hashes'],
  store: ['pg', '@aws-sdk/client-s3'],
  sdk: ['ulid', '@opentelemetry/api', '@opentelemetry/api-logs', 'proper-lockfile'],
};

interface Source {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function* pathsBelow(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (['node_modules', 'dist', 'generated'].includes(entry.name)) continue;
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* pathsBelow(path);
    else if (path.endsWith('.ts')) yield path;
  }
}

const sources: Source[] = Object.keys(MAY_IMPORT).flatMap((folder) =>
  [...pathsBelow(join(ROOT, folder))].map((path) => {
    const text = readFileSync(path, 'utf8');
    const imports = [
      ...text.matchAll(
        /^(?:import|export)\b[^'";]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm,
      ),
    ];
    return {
      path: relative(ROOT, path),
      folder,
      text,
      imports: imports.map((match) => match[1] ?? match[2] ?? match[3] ?? ''),
    };
  }),
);
const product = sources.filter(({ folder }) => folder !== 'test');

const resolveImport = (source: Source, name: string): string =>
  normalize(join(dirname(source.path), name));

function offenders(
  of: readonly Source[],
  wrong: (source: Source, name: string) => boolean,
): string[] {
  return of.flatMap((source) =>
    source.imports
      .filter((name) => wrong(source, name))
      .map((name) => `${source.path} imports ${name}`),
  );
}

test('imports go one way through the house', () => {
  expect(product.length).toBeGreaterThan(20);
  const wrong = offenders(sources, (source, name) => {
    if (!name.startsWith('.')) return false;
    const target = resolveImport(source, name).split('/')[0] ?? '';
    return target !== source.folder && !(MAY_IMPORT[source.folder] ?? []).includes(target);
  });
  expect(wrong).toEqual([]);
});

test('stages of the agent never import one another', () => {
  const stageOf = (path: string): string | undefined => /^agent\/([^/]+)\//.exec(path)?.[1];
  const wrong = offenders(product, (source, name) => {
    const own = stageOf(source.path);
    const target = name.startsWith('.') ? stageOf(resolveImport(source, name)) : undefined;
    return own !== undefined && target !== undefined && own !== target;
  });
  expect(wrong).toEqual([]);
});

test('no file imports itself through others', () => {
  const byPath = new Map(product.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) throw new Error(`cycle: ${[...trail, path].join(' -> ')}`);
    const source = byPath.get(path);
    if (source === undefined || done.has(path)) return;
    for (const name of source.imports) {
      if (name.startsWith('.')) visit(resolveImport(source, name), [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of product) visit(path, []);
});

test('built-in modules carry the node: prefix, and relative imports their extension', () => {
  const builtins =
    /^(fs|path|crypto|net|http|https|os|url|util|stream|events|child_process|worker_threads|zlib|buffer|tls)(\/|$)/;
  expect(offenders(sources, (_, name) => builtins.test(name))).toEqual([]);
  expect(
    offenders(sources, (_, name) => name.startsWith('.') && !/\.(ts|js|mjs)$/.test(name)),
  ).toEqual([]);
});

test('pure folders and the SDK keep to their packages', () => {
  const wrong = offenders(product, (source, name) => {
    const allowed = PACKAGES[source.folder];
    if (allowed === undefined || name.startsWith('.') || name.startsWith('node:')) return false;
    return !allowed.some((one) => name === one || name.startsWith(`${one}/`));
  });
  expect(wrong).toEqual([]);
});

test('no default export, no file beyond its cap', () => {
  expect(
    product.filter(({ text }) => /^export default/m.test(text)).map(({ path }) => path),
  ).toEqual([]);
  const long = product
    .filter(({ text }) => text.split('\n').length > LINES_MAX + 1)
    .map(({ path }) => path);
  expect(long).toEqual([]);
});

test('no failed write is swallowed: no catch is empty', () => {
  // That one plants them, to see that the linter finds them.
  const others = sources.filter(({ path }) => path !== 'test/swallow.test.ts');
  const empty = others.filter(({ text }) =>
    /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*(\{\s*\}|undefined|null)\)/.test(text),
  );
  expect(empty.map(({ path }) => path)).toEqual([]);
});
