/**
 * What redaction must leave alone: ordinary ids, times and texts. A clean event comes back as the
 * same object, and a corpus of the ids that systems use is touched less than once in a thousand.
 */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../schemas/event.ts';
import { eventWith, redactor, redactMetadata } from './support.ts';

describe('ordinary events stay as they are', () => {
  test('a clean event comes back as the same object', () => {
    const event = eventWith({
      row_count: 1520,
      format: 'csv',
      reason: 'quarterly review, approved by the owner',
      ticket: 'SUP-10442',
      filters: { region: 'eu', since: '2026-01-01', columns: ['id', 'name'] },
      exported_at_ms: 1764000000123,
      duration_ms: 12.5,
      ok: true,
      note: null,
    });
    expect(redactor.redactEvent(event)).toBe(event);
  });

  test('the e-mail addresses of actor, delegate and resource stay; in metadata they are tokens', () => {
    const delegate = { type: 'user', id: 'bob@example.com', name: 'bob@example.com' } as const;
    const event = eventWith(
      { row_count: 1 },
      {
        actor: {
          type: 'admin',
          id: 'al@example.com',
          name: 'al@example.com',
          on_behalf_of: delegate,
        },
        resource: { type: 'user', id: 'bob@example.com', tenant_id: 'acme' },
      },
    );
    expect(redactor.redactEvent(event)).toBe(event);
    expect(redactMetadata({ sent_to: 'bob@example.com' })['sent_to']).toMatch(/^tok_/);
  });

  test.each<[string, Json]>([
    ['token_count', 12],
    ['tokens', 512],
    ['token_type', 'Bearer'],
    ['password_changed_at', '2026-11-24T14:58:24.123Z'],
    ['password_reset', true],
    ['api_key_id', 'k_12'],
    ['subject_token', 'sub_9f2'],
    ['pin_attempts', 3],
    ['cookie_consent', 'all'],
    ['card', { last4: '4242', brand: 'visa' }],
    ['card_last4', '4242'],
    ['passport_country', 'FR'],
    ['shipping', 'express'],
    ['spinner', 'on'],
    ['company', 'ACME'],
    ['panel', 'left'],
    ['discard', 'yes'],
    ['has_password', true],
    ['account_number', '000123456'],
    ['ip_address', '203.0.113.7'],
    ['amount', 4111.11],
    ['text', 'password is required'],
    ['text', 'basic authentication used'],
    ['text', 'the bearer of this ticket'],
    ['po', 'INV-2026-11-0042'],
    ['range', '2026-11-01 2026-11-30'],
    ['peers', '10.0.12.254 52.143.33.201 192.168.100.200'],
    ['path', '/var/lib/sealtrail/ledger/00000000000000001024.ndjson'],
    ['phone', '+44 20 7946 0958'],
    ['arn', 'arn:aws:iam::123456789012:role/Admin'],
  ])('%s: %j is kept', (name, value) => {
    const event = eventWith({ [name]: value });
    expect(redactor.redactEvent(event)).toBe(event);
  });

  test('fewer than one in a thousand ordinary ids is touched', () => {
    const random = createRandom(20260101);
    let touched = 0;
    let total = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (const id of ordinaryIds(random)) {
        total++;
        const event = eventWith({ value: id });
        if (redactor.redactEvent(event) !== event) touched++;
      }
    }
    expect(total).toBeGreaterThanOrEqual(2000);
    expect(touched / total).toBeLessThan(0.001);
  });

  test('a random order number of 16 digits is taken for a card less than once in thirty', () => {
    const random = createRandom(20260102);
    let touched = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const event = eventWith({ order: random(16) });
      if (redactor.redactEvent(event) !== event) touched++;
    }
    expect(touched / ROUNDS).toBeLessThan(1 / 30);
  });
});

const ROUNDS = 2500;

/** Makes strings of `length` characters of an alphabet; the same ones for the same seed. */
type RandomText = (length: number, alphabet?: string) => string;

function createRandom(seed: number): RandomText {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return (length, alphabet = '0123456789') =>
    Array.from({ length }, () => alphabet.charAt(Math.floor(next() * alphabet.length))).join('');
}

const HEX = '0123456789abcdef';
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

function ordinaryIds(random: RandomText): readonly Json[] {
  const hex = (length: number): string => random(length, HEX);
  const at = new Date(1.7e12 + Number(random(11)));
  return [
    `01J${random(23, CROCKFORD)}`,
    `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`,
    hex(16),
    hex(24),
    hex(32),
    hex(40),
    createHash('sha256').update(hex(8)).digest('hex'),
    at.toISOString(),
    at.getTime(),
    String(at.getTime()),
    `${at.getTime()}000`,
    `${at.getTime()}000000`,
    `1${random(17)}`,
    `order-${random(8)}`,
    `INV-2026-${random(6)}`,
    Number(random(9)),
    random(10),
    random(12),
    `+1 ${random(3)} ${random(3)} ${random(4)}`,
    `+49 ${random(3)} ${random(8)}`,
    `(${random(3)}) ${random(3)}-${random(4)}`,
    `10.${Number(random(2))}.${Number(random(2))}.${Number(random(2))}:5432`,
    `2001:db8:${hex(4)}:${hex(4)}::${hex(4)}`,
    `u_${random(12, LETTERS)}`,
    `cus_${random(14, LETTERS)}`,
    random(21, LETTERS),
    `v${random(1)}.${random(2)}.${random(3)}-build.${random(6)}`,
    `/api/v1/customers/${random(7)}/orders?page=2&limit=50`,
    `W/"${hex(32)}"`,
    `sha256:${hex(64)}`,
  ];
}
