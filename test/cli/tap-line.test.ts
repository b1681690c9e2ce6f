/** A line of the tap, whatever an application put into its identifiers. */
import { expect, test } from 'vitest';
import { describeLine } from '../../cli/tap-line.ts';
import { makeRecord } from '../support/events.ts';

test('a record is one line: when, whose, what, how it went, who, on what', () => {
  const { text, note, hasEnded } = describeLine(JSON.stringify(makeRecord()));
  expect(text).toMatch(
    /^2026-03-01T10:00:00\.000Z +acme +customer\.read +success +user u_alice +-> +customer c_17 +seq \d+$/,
  );
  expect({ note, hasEnded }).toEqual({ note: null, hasEnded: false });
});

test('escape sequences, line ends and directions of an identifier do not reach the terminal', () => {
  const id = 'c\x1b[2J\n\r\u202e\u2028\u009b';
  const record = makeRecord({ resource: { type: 'customer', id, tenant_id: 'acme' } });
  const { text } = describeLine(JSON.stringify(record));
  expect(text).toContain('c\u{fffd}[2J');
  expect(text).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
});

test('what the tap says of itself is no record: where it begins is silent, what was lost is counted', () => {
  expect(describeLine('{"tap":{"from":7}}')).toEqual({ text: null, note: null, hasEnded: false });
  expect(describeLine('{"tap":{"lost":12}}').note).toContain('12 records');
  expect(describeLine('{"tap":{"ended":"the agent stops"}}')).toMatchObject({ hasEnded: true });
});
