/** The README's tables name every error code and every option, and nothing that does not exist. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { AuditErrorCode, REFUSAL_HINTS } from '../../sdk/errors.ts';

const SDK = join(import.meta.dirname, '../../sdk');
const readme = readFileSync(join(SDK, 'README.md'), 'utf8');

/** First cells of the table under a heading. */
function firstCells(heading: string): string[] {
  const section = readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? '');
}

it('every error code is in the table, once, with what to do', () => {
  const codes = [...Object.values(AuditErrorCode), ...Object.keys(REFUSAL_HINTS)];
  expect(firstCells('When record() rejects').sort()).toEqual(codes.sort());
});

it('every option is in the table, once', () => {
  const source = readFileSync(join(SDK, 'options.ts'), 'utf8');
  const bodies = [
    ...source.matchAll(/export interface (?:Spooling)?AuditOptions[^{]*\{([\s\S]*?)\n\}/g),
  ];
  const body = bodies.map((match) => match[1]).join('');
  const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1] ?? '');
  expect(options.length).toBeGreaterThan(8);
  expect(firstCells('Options').sort()).toEqual(options.sort());
});
