/**
 * The promise of the whole layer, as a property: whatever secret is planted wherever in an event,
 * in whatever spelling, its raw value is absent from what comes out; and a second pass is a no-op.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditEvent, Json } from '../../schemas/event.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import {
  around,
  PLACES,
  embed,
  jwt,
  pan,
  plantedCredential,
  plantedIban,
  plantedKey,
  plantedPan,
  plantedSsn,
  secretName,
  ssn,
  word,
} from '../support/secrets.ts';
import { eventWith, redactor } from './support.ts';

const RUNS = { numRuns: 2000, seed: 20260101 };

const anywhere = fc.constantFrom(...PLACES);

function expectAbsent(event: AuditEvent, raw: readonly string[]): void {
  const redacted = redactor.redactEvent(event);
  const text = JSON.stringify(redacted);
  for (const secret of raw) expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
  expect(redactor.redactEvent(redacted)).toEqual(redacted);
}

describe('no raw secret leaves redaction', () => {
  test.each([
    ['card numbers of every issuer and length, however written', plantedPan],
    ['SSNs in any digits and encoding', plantedSsn],
    ['IBANs, in one piece or in groups', plantedIban],
    ['JWTs, PEM private keys and the keys of cloud providers', plantedKey],
    ['passwords, cookies and keys in text and URLs', plantedCredential],
  ])('%s', (_, planted) => {
    fc.assert(
      fc.property(planted, around, around, anywhere, (secret, before, after, place) => {
        const event = place(embed(secret.text, before, after), eventWith);
        fc.pre(checkEvent(event).ok);
        expectAbsent(event, secret.raw);
      }),
      RUNS,
    );
  });

  test('a character behind it that stands for digits of its own makes it no longer number', () => {
    // U+32CB is December, in one character.
    for (const number of ['512\u200907\u20098571', '512%E2%80%8907%E2%80%898571'])
      expectAbsent(eventWith({ note: `x${number} \u32cb ` }), [number]);
  });

  test('whatever stands under a name that says secret', () => {
    const value = fc.oneof(
      word,
      word.map((text): Json => ({ value: text, list: [text] })),
      word.map((text): Json => [text]),
    );
    fc.assert(
      fc.property(secretName, value, (key, secret) => {
        const out = redactor.redactEvent(eventWith({ a: [{ [key]: secret, row_count: 3 }] }));
        expect(out.metadata).toEqual({ a: [{ row_count: 3 }] });
      }),
      RUNS,
    );
  });

  test('any JSON comes out schema-valid and unchanged by a second pass', () => {
    const piece = fc.oneof(pan, ssn, jwt, fc.string({ unit: 'grapheme' }), word);
    const key = fc.oneof(
      piece,
      fc.constantFrom(
        'ssn',
        'ssn_token',
        'card',
        'card_number',
        'pan',
        'number',
        'last4',
        'password',
        'notes',
        'address',
        'card_2',
        'ssn_2',
        'tokens',
        'national_id',
        'kinds',
      ),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        piece,
        fc.constantFrom<Json>(null, true, 7, 4111111111111111, 78051120),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 6 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(key, tree, { maxKeys: 6 }), (metadata) => {
        const event = eventWith(JSON.parse(JSON.stringify(metadata)) as AuditEvent['metadata']);
        fc.pre(checkEvent(event).ok);
        const before = JSON.stringify(event);
        const once = redactor.redactEvent(event);
        expect(JSON.stringify(event)).toBe(before);
        expect(checkEvent(once).ok).toBe(true);
        expect(redactor.redactEvent(once)).toEqual(once);
      }),
      RUNS,
    );
  });
});
