/**
 * The deny-list over everything that lies in the repository as data: fixtures, examples, configuration,
 * documents. Outputs are searched where they come into being, when a test's agent ends (agent-process.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { expect, test } from 'vitest';
import { DENIED, findForbidden } from '../support/deny-list.ts';

const ROOT = join(import.meta.dirname, '../..');
const IGNORED = new Set(['node_modules', 'dist', 'generated', 'data', '.git']);
const SOURCES = new Set(['.ts', '.mjs', '.js', '.py']);

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (IGNORED.has(entry.name)) continue;
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile() && !SOURCES.has(extname(path))) yield path;
  }
}

/** One example of each, put together here so that no file holds it. */
const LEAKS: Readonly<Record<string, string>> = {
  'card number': `{"a":"4539 1488 0343 ${6467}"}`,
  SSN: `ssn ${536}-22-8714`,
  JWT: `x eyJhbGciOiJ9${'.'}eyJzdWIiOiIx.c2lnbmF0dXJl`,
  'private key': `-----BEGIN RSA PRIVATE${' KEY'}-----\\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3`,
  'API key': `AKIA${'QYLPMN5HHHFPZAM2'}`,
  'bearer token': `Authorization: Bearer ${'mF_9.B5f-4.1JqM-abcdefgh'}`,
  password: `password=${'hunter-22'}`,
  'password in a URL': `postgres://app:${'hunter22'}@db/x`,
  cookie: `Set-Cookie: sid=${'9f8a7b6c5d'}; Path=/`,
};

test('each pattern of the deny-list finds what it is there for, and nothing in what redaction leaves', () => {
  for (const { name } of DENIED)
    expect(findForbidden(LEAKS[name] ?? ''), name).toEqual([expect.stringContaining(name)]);
  const clean = `[redacted:pan:last4=6467] tok_abcdefgh_${'a'.repeat(26)} password=[redacted:secret]`;
  expect(findForbidden(clean)).toEqual([]);
});

test('no fixture, example, configuration or document shows a forbidden pattern', () => {
  const files = [...filesBelow('.')];
  expect(files.length).toBeGreaterThan(60);
  const found = files.flatMap((path) =>
    findForbidden(readFileSync(join(ROOT, path), 'utf8')).map((what) => `${path}: ${what}`),
  );
  expect(found).toEqual([]);
});
