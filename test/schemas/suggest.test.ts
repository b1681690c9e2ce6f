import fc from 'fast-check';
import { expect, test } from 'vitest';
import { suggest } from '../../schemas/suggest.ts';
import { cpuMs } from '../support/cpu.ts';

const KNOWN = ['receivers', 'processors', 'exporters', 'id'];

test('one letter dropped, doubled, replaced or swapped still finds the name', () => {
  expect(suggest('recievers', KNOWN)).toBe('receivers');
  expect(suggest('Exporter', KNOWN)).toBe('exporters');
  expect(suggest('di', KNOWN)).toBe('id');
  fc.assert(
    fc.property(
      fc.constantFrom('receivers', 'processors', 'exporters'),
      fc.nat(8),
      fc.constantFrom<(name: string, at: number) => string>(
        (name, at) => name.slice(0, at) + name.slice(at + 1),
        (name, at) => name.slice(0, at + 1) + name.slice(at),
        (name, at) => `${name.slice(0, at)}x${name.slice(at + 1)}`,
        (name, at) =>
          name.slice(0, at) + (name[at + 1] ?? '') + (name[at] ?? '') + name.slice(at + 2),
      ),
      (name, at, mistype) => {
        expect(suggest(mistype(name, at), KNOWN)).toBe(name);
      },
    ),
  );
});

test('a name that is close to nothing gets no suggestion', () => {
  expect(suggest('storage', KNOWN)).toBeNull();
  expect(suggest('xy', KNOWN)).toBeNull();
  expect(suggest('', KNOWN)).toBeNull();
  expect(suggest('receivers', [])).toBeNull();
});

test('an endless name costs no time', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => `action.${index}`);
  const tookMs = cpuMs();
  expect(suggest('a'.repeat(60_000), many)).toBeNull();
  expect(tookMs()).toBeLessThan(1_000);
});
