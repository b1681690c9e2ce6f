/**
 * Where a criterion asks that something be said or defended: the section is there, says it at some
 * length in the terms that matter, and names files that exist.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const WORDS_MIN = 60;

export interface Defence {
  /** What the section must speak of. */
  readonly says: readonly RegExp[];
  /** Files of this repository that it must name. */
  readonly names?: readonly string[];
}

/** Fails unless the section under this heading says what it has to. */
export function expectDefence(path: string, heading: string, defence: Defence): void {
  const section = readSection(path, heading);
  expect(section.split(/\s+/).length, `words in ${path}, ${heading}`).toBeGreaterThan(WORDS_MIN);
  for (const term of defence.says) expect(section).toMatch(term);
  for (const name of defence.names ?? []) {
    expect(section).toContain(name);
    expect([name, existsSync(join(ROOT, name))]).toEqual([name, true]);
  }
}

/** Text of a Markdown section, from its heading to the next one of the same or a higher level. */
export function readSection(path: string, heading: string): string {
  const lines = readFileSync(join(ROOT, path), 'utf8').split('\n');
  const level = (line: string): number => /^(#+) /.exec(line)?.[1]?.length ?? 0;
  const start = lines.findIndex((line) => level(line) > 0 && line.includes(heading));
  expect(start, `${path} has a section "${heading}"`).toBeGreaterThanOrEqual(0);
  const own = level(lines[start] ?? '');
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => level(line) > 0 && level(line) <= own);
  return rest.slice(0, end === -1 ? undefined : end).join('\n');
}
