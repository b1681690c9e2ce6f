/** docs/INVESTIGATIONS.md lists the questions that there are, as they are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CATALOGUE } from '../../auditor/catalogue.ts';

test('the page lists every question with its title and its parameters, and no other', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/INVESTIGATIONS.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `([a-z-]+)` +\| (.+?) +\| (.+?) +\|$/gm)].map((match) =>
    match.slice(1),
  );
  const expected = CATALOGUE.map(({ id, title, parameters }) => {
    const names = parameters.map(({ name }) => `\`${name}\``);
    return [id, title, names.length === 0 ? '–' : names.join(', ')];
  });
  expect(listed).toEqual(expected);
});
