/** docs/HOW_TO_INVESTIGATE.md asks questions that there are, with commands that there are, on half a page. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CATALOGUE } from '../../auditor/catalogue.ts';
import { namesIn } from './compliance-rows.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/HOW_TO_INVESTIGATE.md'), 'utf8');

test('the questions that it names are in the catalogue, under the titles that it gives', () => {
  const named = namesIn(PAGE).filter((name) => /^[a-z]+(-[a-z]+)+$|^impersonations$/.test(name));
  expect(named.length).toBeGreaterThanOrEqual(6);
  expect(CATALOGUE.map(({ id }) => id)).toEqual(expect.arrayContaining([...named]));
  for (const [, title = '', id = ''] of PAGE.matchAll(/\| ([^|]+\?) \(`([a-z-]+)`\) \|/g))
    expect([id, CATALOGUE.find((question) => question.id === id)?.title]).toEqual([id, title]);
});

test('it speaks of grant, question, certificate, hold and export, and is short', () => {
  for (const part of [
    /auditor grant/,
    /certificate/i,
    /intact/,
    /broken at row/,
    /hold add/,
    /export/i,
  ])
    expect(PAGE).toMatch(part);
  expect(PAGE.split(/\s+/).length).toBeLessThan(520);
});
