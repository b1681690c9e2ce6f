/**
 * Tokens: comparable within a tenant, meaningless outside it and without the key.
 */
import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createRedactor,
  parseKeyRing,
  parseRedactionKey,
  RedactionKeyError,
  tokensOf,
} from '../../redaction/redaction.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { createTokenizer, isToken } from '../../redaction/tokens.ts';
import { eventWith, redactMetadata, TEST_KEY } from './support.ts';

const RUNS = { numRuns: 2000, seed: 20260103 };
const ssn = fc.integer({ min: 1_010_001, max: 772_999_999 }).map((value) => {
  const text = String(value).padStart(9, '0');
  return `${text.slice(0, 3)}-${text.slice(3, 5)}-${text.slice(5)}`;
});
const tokenizer = createTokenizer(TEST_KEY);

describe('tokens', () => {
  test('the same SSN gives the same token, however it is written and wherever it stands', () => {
    fc.assert(
      fc.property(ssn, (value) => {
        const token = redactMetadata({ ssn: value })['ssn_token'];
        expect(token).toMatch(/^tok_[a-z2-7]{8}_[a-z2-7]{26}$/);
        const bare = value.replaceAll('-', '');
        expect(redactMetadata({ ssn: bare })).toEqual({ ssn_token: token });
        expect(redactMetadata({ socialSecurityNumber: Number(bare) })).toEqual({
          socialSecurityNumber_token: token,
        });
        expect(redactMetadata({ x: `SSN ${value}.` })).toEqual({ x: `SSN ${String(token)}.` });
      }),
      RUNS,
    );
  });

  test('different SSNs, tenants and keys give different tokens', () => {
    const other = createTokenizer(Uint8Array.from(TEST_KEY, (byte) => byte ^ 1));
    fc.assert(
      fc.property(ssn, ssn, (one, two) => {
        const token = tokenizer.tokenize('acme', 'ssn', one);
        expect(tokenizer.tokenize('acme', 'ssn', two) === token).toBe(one === two);
        expect(tokenizer.tokenize('globex', 'ssn', one)).not.toBe(token);
        expect(other.tokenize('acme', 'ssn', one)).not.toBe(token);
        expect(isToken(token)).toBe(true);
      }),
      RUNS,
    );
    expect(other.keyId).not.toBe(tokenizer.keyId);
  });

  test('a table of hashes of every candidate does not reverse a token', () => {
    const token = tokenizer.tokenize('acme', 'ssn', '078051120');
    const guesses = ['', 'acme', tokenizer.keyId, 'ssn'].flatMap((key) => [
      createHash('sha256').update(`${key}078051120`).digest('hex'),
      createHmac('sha256', key).update('ssn\n078051120').digest('hex'),
    ]);
    const body = token.split('_')[2];
    for (const guess of guesses) expect(base32(guess).slice(0, 26)).not.toBe(body);
  });

  test('two tenants never share a token in their events', () => {
    const redactor = createRedactor({ masterKey: TEST_KEY });
    const tokens = ['acme', 'globex'].map((tenant) => {
      const event = eventWith(
        { ssn: '078-05-1120' },
        {
          resource: { type: 'customer', id: 'c_1', tenant_id: tenant },
        },
      );
      return redactor.redactEvent(event).metadata['ssn_token'];
    });
    expect(tokens[0]).not.toBe(tokens[1]);
  });
});

describe('rotation of the redaction key', () => {
  const [old, current] = [Buffer.alloc(32, 7), Buffer.alloc(32, 9)];
  const values = ['078-05-1120', 'DE89 3704 0044 0532 0130 00', 'Bob@Example.com', 'AB123456C'];
  const metadata = { ssn: values[0], iban: values[1], mail: values[2], nino: values[3] } as const;
  const under = (masterKey: Uint8Array): AuditEvent =>
    createRedactor({ masterKey }).redactEvent(eventWith(metadata as Record<string, string>));

  test('tokens of the old key are found by their key id, those of the new one as well', () => {
    const ring = parseKeyRing(`${current.toString('hex')}\n${old.toString('hex')}\n`);
    if (!ring.ok) throw new Error(ring.error.message);
    for (const value of values) {
      const [now, before, ...others] = tokensOf(ring.value, 'acme', value);
      expect(others).toEqual([]);
      expect(JSON.stringify(under(current))).toContain(now);
      expect(JSON.stringify(under(old))).toContain(before);
      expect(now?.split('_')[1]).toBe(createRedactor({ masterKey: current }).keyId);
      expect(before?.split('_')[1]).toBe(createRedactor({ masterKey: old }).keyId);
      expect(tokensOf(ring.value, 'globex', value)).not.toContain(now);
    }
  });

  test('the first key of a ring makes tokens; an SDK that still has the old one changes nothing', () => {
    expect(parseRedactionKey(`${current.toString('hex')}\n${old.toString('hex')}`)).toEqual({
      ok: true,
      value: Uint8Array.from(current),
    });
    const before = under(old);
    expect(createRedactor({ masterKey: current }).redactEvent(before)).toBe(before);
  });

  test('one bad key among good ones is told, and nothing is made of the others', () => {
    const good = old.toString('hex');
    for (const text of [`${good}\nxyz`, `${good}\nabcd`])
      expect(parseKeyRing(text)).toMatchObject({ ok: false });
  });
});

describe('the redaction key', () => {
  test.each([undefined, '', '  ', 'abc', 'zz'.repeat(32), 'ab'.repeat(31)])(
    '%j is refused, with the variable to set and the command to run',
    (text) => {
      const parsed = parseRedactionKey(text);
      expect(parsed.ok).toBe(false);
      if (parsed.ok) return;
      expect(parsed.error.message).toContain('SEALTRAIL_REDACTION_KEY');
      expect(parsed.error.message).toContain('openssl rand -hex 32');
    },
  );

  test('64 hex digits are 32 bytes; a shorter key makes createRedactor throw', () => {
    const parsed = parseRedactionKey(` ${'aB'.repeat(32)}\n`);
    expect(parsed).toEqual({ ok: true, value: new Uint8Array(32).fill(0xab) });
    expect(() => createRedactor({ masterKey: TEST_KEY })).not.toThrow();
    expect(() => createRedactor({ masterKey: TEST_KEY.slice(1) })).toThrow(RedactionKeyError);
  });
});

function base32(hex: string): string {
  const bits = [...hex].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0'));
  return (bits.join('').match(/.{5}/g) ?? [])
    .map((five) => 'abcdefghijklmnopqrstuvwxyz234567'.charAt(Number.parseInt(five, 2)))
    .join('');
}
