import oracle from 'canonicalize';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalize } from '../../schemas/canonical.ts';
import { findDuplicateKey } from '../../schemas/json-check.ts';
import { safeJson } from '../support/events.ts';

test('agrees with an independent implementation on any JSON value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      fc.pre(JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/.test(JSON.stringify(value)));
      expect(canonicalize(value)).toBe(oracle(value));
    }),
    { numRuns: 3000 },
  );
});

test('is a fixed point: canonical text parses back to the same text', () => {
  fc.assert(
    fc.property(safeJson, (value) => {
      const text = canonicalize(value);
      expect(canonicalize(JSON.parse(text))).toBe(text);
    }),
    { numRuns: 1000 },
  );
});

test.each([[Number.NaN], [Number.POSITIVE_INFINITY], ['\ud800'], [10n], [() => 1]])(
  'refuses what has no canonical form: %s',
  (value) => {
    expect(() => canonicalize({ value })).toThrow(TypeError);
  },
);

test('a member that stands twice is found at any depth and in any spelling; valid JSON has none', () => {
  fc.assert(
    fc.property(safeJson, (value) => {
      expect(findDuplicateKey(JSON.stringify(value))).toBeNull();
      expect(findDuplicateKey(JSON.stringify({ b: [value], a: { x: value } }, null, 2))).toBeNull();
    }),
    { numRuns: 1000 },
  );
  expect(findDuplicateKey('{"a":1,"b":{"c":[{"d":1,"d":2}]}}')).toBe('d');
  expect(findDuplicateKey('{"a":1,"\\u0061":2}')).toBe('a');
  expect(findDuplicateKey('{"a":"a","b":"\\"b\\":"}')).toBeNull();
});
