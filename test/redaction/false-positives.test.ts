/**
 * What redaction must leave alone: ordinary ids, times and texts. A clean event comes back as the
 * same object. How often ids of each kind are touched is measured in ordinary-ids.test.ts.
 */
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
    ['phone', '+4915112345679'],
    ['order', '112-3636789-0123457'],
    ['text', 'call +49 151 12345679'],
    ['arn', 'arn:aws:iam::123456789012:role/Admin'],
  ])('%s: %j is kept', (name, value) => {
    const event = eventWith({ [name]: value });
    expect(redactor.redactEvent(event)).toBe(event);
  });
});
