/** README.md and docs/: whatever they point at is there: files, headings, and names within files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const IGNORED = new Set(['node_modules', 'dist', 'generated', 'data', '.git']);

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (IGNORED.has(entry.name)) continue;
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

const FILES = [...filesBelow('')];
const BASENAMES = new Set(FILES.map((path) => basename(path)));
const FOLDERS = new Set(FILES.map((path) => path.split('/')[0] ?? ''));
const DOCUMENTS = FILES.filter((path) => path.endsWith('.md'));
/** Names in the sort of file that this repository holds. */
const FILE_NAME = /^[\w@.-]+\.(ts|mjs|js|json|sql|md|yaml)$/;
/** What a running agent, an operator or the text itself makes. */
const NOT_OURS =
  /^(data|keys|siem|postgres|cursors|dead-letter)\/|^(certificate|question)\.json$|^kebab-case|<|\*/;

/** Text without fenced blocks: they show commands and code, and name what a reader will create. */
function proseOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8').replace(/^```[^]*?^```/gm, '');
}

function slugsOf(path: string): string[] {
  return proseOf(path)
    .split('\n')
    .filter((line) => /^#+ /.test(line))
    .map((line) =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    );
}

/** Paths in backticks, from the root or beside the document; bare file names too. */
function namedPaths(document: string): { readonly name: string; readonly exists: boolean }[] {
  const names = [...proseOf(document).matchAll(/`([^`\s]+)`/g)].map((match) => match[1] ?? '');
  return names.flatMap((name) => {
    const path = name.replace(/\/$/, '');
    if (NOT_OURS.test(name)) return [];
    const isPath =
      path.includes('/') && FOLDERS.has(path.split('/')[0] ?? '') && /^[\w./@-]+$/.test(path);
    if (isPath) return [{ name, exists: existsSync(join(ROOT, path)) }];
    if (!FILE_NAME.test(name)) return [];
    return [{ name, exists: BASENAMES.has(name) }];
  });
}

/** What is wrong, over all documents, each with its document. */
function offenders(find: (document: string) => readonly string[]): string[] {
  return DOCUMENTS.flatMap((document) => find(document).map((what) => `${document}: ${what}`));
}

test('every path in backticks exists', () => {
  const missing = offenders((document) =>
    namedPaths(document)
      .filter(({ exists }) => !exists)
      .map(({ name }) => name),
  );
  expect(missing).toEqual([]);
});

test('every link leads to a file, and every anchor to a heading', () => {
  const broken = offenders((document) =>
    [...proseOf(document).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] ?? '')
      .filter((link) => {
        if (/^[a-z]+:/.test(link)) return false;
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? document : normalize(join(dirname(document), path));
        if (!existsSync(join(ROOT, target))) return true;
        return anchor !== undefined && !slugsOf(target).includes(anchor);
      }),
  );
  expect(broken).toEqual([]);
});

test('a function named right after its file is in that file', () => {
  const missing = offenders((document) =>
    [...proseOf(document).matchAll(/`([\w/.-]+\.ts)` `(\w+)(?:\(\))?`/g)]
      .filter(([, path = '', name = '']) => {
        const file = join(ROOT, path);
        return existsSync(file) && !new RegExp(`\\b${name}\\b`).test(readFileSync(file, 'utf8'));
      })
      .map(([text]) => text),
  );
  expect(missing).toEqual([]);
});

test('the check finds documents, paths and links to check', () => {
  expect(DOCUMENTS).toEqual(expect.arrayContaining(['README.md', 'docs/GUARANTEES.md']));
  expect(namedPaths('docs/GUARANTEES.md').length).toBeGreaterThan(20);
  expect(slugsOf('docs/THREAT_MODEL.md')).toContain('detect-not-prevent');
});
