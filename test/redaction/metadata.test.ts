/**
 * What a reader of a redacted event sees in place of what was there.
 */
import { describe, expect, test } from 'vitest';
import type { Json } from '../../schemas/event.ts';
import { createRedactor } from '../../redaction/redaction.ts';
import { eventWith, redactMetadata, TEST_KEY } from './support.ts';

const PAN = '4111 1111 1111 1111';
const MARK = '[redacted:pan:last4=1111]';
const TOKEN: unknown = expect.stringMatching(/^tok_[a-z2-7]{8}_[a-z2-7]{26}$/);

describe('metadata after redaction', () => {
  test.each<[string, { readonly [name: string]: Json }, unknown]>([
    [
      'SSN to token, card to last4, password gone',
      { ssn: '078-05-1120', card_number: PAN, password: 'hunter2', row_count: 3 },
      { ssn_token: TOKEN, card: { last4: '1111' }, row_count: 3 },
    ],
    ['a card number as a number', { amount_ref: 4111111111111111 }, { amount_ref: MARK }],
    ['an unknown name with a card number', { wat: `paid ${PAN}!` }, { wat: `paid ${MARK}!` }],
    ['a card number as a name', { '4111111111111111': 1 }, { [MARK]: 1 }],
    [
      'a card object keeps what may stay',
      { card: { number: PAN, cvv: '123', brand: 'visa' } },
      { card: { last4: '1111', brand: 'visa' } },
    ],
    [
      'card_number joins an existing card',
      { card: { brand: 'visa' }, card_number: PAN },
      { card: { brand: 'visa', last4: '1111' } },
    ],
    [
      'two cards keep both last4',
      { card_number: PAN, backup_card: '5555555555554444' },
      { card: { last4: '1111' }, backup_card: '[redacted:pan:last4=4444]' },
    ],
    [
      'free text with a finding becomes a structure',
      { notes: 'SSN 078-05-1120, mail bob@example.com' },
      { notes: { redacted: true, length: 37, kinds: ['email', 'ssn'] } },
    ],
    ['free text without one stays', { notes: 'called back' }, { notes: 'called back' }],
    [
      'a postal address always becomes a structure',
      { home_address: '12 High Street' },
      { home_address: { redacted: true, length: 14, kinds: ['free_text'] } },
    ],
    [
      'lists of national ids',
      { passports: 1, ssn: ['078051120'] },
      { passports: 1, ssn_token: [TOKEN] },
    ],
    ['a raw value under a token name', { ssn_token: '078-05-1120' }, { ssn_token: TOKEN }],
    ['Cyrillic letters in a name', { раssword: 'x' }, {}],
    [
      'a URL',
      { u: 'https://a:b@h/?token=xyz&q=1' },
      { u: 'https://a:[redacted:secret]@h/?token=[redacted:secret]&q=1' },
    ],
    [
      'an IBAN',
      { t: 'to DE89 3704 0044 0532 0130 00 today' },
      { t: expect.stringMatching(/^to tok_\S+ today$/) },
    ],
    [
      'a forged marker hides nothing',
      { x: '[redacted:4111111111111111]' },
      { x: `[redacted:${MARK}]` },
    ],
    [
      'a forged token hides nothing',
      { x: 'tok_aaaaaaaa_aaaaaaaaaa5555555555554444' },
      { x: 'tok_aaaaaaaa_aaaaaaaaaa[redacted:pan:last4=4444]' },
    ],
  ])('%s', (_, metadata, expected) => {
    expect(redactMetadata(metadata)).toEqual(expected);
  });

  test('a card at the deepest level becomes a marker, so that the event stays within its depth', () => {
    let metadata: { readonly [name: string]: Json } = { card_number: PAN };
    for (let level = 0; level < 14; level++) metadata = { a: metadata };
    expect(JSON.stringify(redactMetadata(metadata))).toContain(`{"card_number":"${MARK}"}`);
  });

  test("an application's own sensitive keys are dropped and found in text", () => {
    const redactor = createRedactor({ masterKey: TEST_KEY, sensitiveKeys: ['launchCode'] });
    const event = eventWith({ launch_code: 'x', a: { 'LAUNCH-CODE': 1 }, t: 'launch_code=zebra' });
    expect(redactor.redactEvent(event).metadata).toEqual({
      a: {},
      t: 'launch_code=[redacted:secret]',
    });
  });

  test('the input is never changed', () => {
    const event = eventWith({ ssn: '078-05-1120', list: [{ password: 'x' }] });
    const before = structuredClone(event);
    createRedactor({ masterKey: TEST_KEY }).redactEvent(event);
    expect(event).toEqual(before);
  });
});
