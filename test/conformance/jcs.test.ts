import { expect, test } from 'vitest';
import { canonicalize, parseJson } from '../../schemas/canonical.ts';
import { describeShared, readShared } from '../support/shared.ts';

describeShared('RFC 8785 vectors', () => {
  test('every published case has the published bytes', () => {
    const { cases } = JSON.parse(readShared('vectors/jcs/rfc8785.json')) as {
      cases: { name: string; input_b64: string; expected_hex: string }[];
    };
    expect(cases.length).toBeGreaterThan(5);
    for (const { name, input_b64, expected_hex } of cases) {
      const text = canonicalize(parseJson(Buffer.from(input_b64, 'base64').toString('utf8')));
      expect(Buffer.from(text).toString('hex'), name).toBe(expected_hex);
    }
  });

  test('every published number is serialized as ECMAScript does', () => {
    const lines = readShared('vectors/jcs/es6-numbers-1000.txt').trim().split('\n');
    expect(lines.length).toBe(1000);
    for (const line of lines) {
      const [hex = '', expected] = line.split(',');
      const value = Buffer.from(hex.padStart(16, '0'), 'hex').readDoubleBE(0);
      expect(canonicalize(value), hex).toBe(expected);
    }
  });
});
