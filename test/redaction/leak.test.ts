/**
 * The promise of the whole layer, as a property: whatever secret is planted wherever in an event,
 * in whatever spelling, its raw value is absent from what comes out; and a second pass is a no-op.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditEvent, Json } from '../../schemas/event.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import { CARD_BRANDS } from '../../redaction/rules.ts';
import { eventWith, redactor } from './support.ts';

const RUNS = { numRuns: 2000, seed: 20260101 };

/** What must not be found again, and the text that carries it. */
interface Planted {
  readonly raw: readonly string[];
  readonly text: string;
}

const digits = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length })
    .map((list) => list.join(''));

function withCheckDigit(body: string): string {
  let sum = 0;
  for (let at = body.length - 1, double = true; at >= 0; at--, double = !double) {
    const value = Number(body[at]) * (double ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
  }
  return body + String((10 - (sum % 10)) % 10);
}

const pan: fc.Arbitrary<string> = fc
  .constantFrom(
    ...CARD_BRANDS.flatMap((brand) =>
      brand.prefixes.flatMap((range) => brand.lengths.map((length) => ({ range, length }))),
    ),
  )
  .chain(({ range, length }) =>
    fc
      .tuple(fc.integer({ min: range[0], max: range[1] }), digits(length))
      .map(([prefix, rest]) => withCheckDigit(`${prefix}${rest}`.slice(0, length - 1))),
  );

const ssn = fc
  .tuple(
    fc.integer({ min: 1, max: 665 }),
    fc.integer({ min: 1, max: 99 }),
    fc.integer({ min: 1, max: 9999 }),
  )
  .map(
    ([area, group, serial]) =>
      `${String(area).padStart(3, '0')}-${String(group).padStart(2, '0')}-${String(serial).padStart(4, '0')}`,
  );

const base64url = (minLength: number): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'),
    minLength,
    maxLength: minLength + 30,
  });
const word = fc.string({
  unit: fc.constantFrom(...'ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789!#$*'),
  minLength: 8,
  maxLength: 24,
});

const jwt = fc
  .tuple(base64url(20), base64url(20))
  .map(([payload, signature]) => `eyJhbGciOiJFUzI1NiJ9.${payload}.${signature}`);
const pem = base64url(64).map(
  (body) => `-----BEGIN EC PRIVATE KEY-----\n${body}\n-----END EC PRIVATE KEY-----`,
);

const group4 = (text: string, separator: string): string =>
  text.replace(/(.{4})(?=.)/g, `$1${separator}`);
const inDigits = (zero: number) => (text: string) =>
  text.replace(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)));

const panSpelling = fc.constantFrom<(text: string) => string>(
  (text) => text,
  (text) => group4(text, ' '),
  (text) => group4(text, '-'),
  (text) => group4(text, '.'),
  (text) => group4(text, '\u00a0'),
  (text) => group4(text, '\u200b'),
  (text) => text.split('').join(' '),
  (text) => `${text.slice(0, 4)} ${text.slice(4, 10)} ${text.slice(10)}`,
);
const numberSpelling = fc.constantFrom<(text: string) => string>(
  (text) => text,
  inDigits(0xff10),
  inDigits(0x0660),
  inDigits(0x0966),
  inDigits(0x1d7ce),
);
/** Base64 is looked into when the bytes are ASCII; other digits are written in ASCII first. */
const base64 = (text: string, format: 'base64' | 'base64url'): string =>
  Buffer.from(/^[ -~]*$/.test(text) ? text : encodeURIComponent(text)).toString(format);
const encoding = fc.constantFrom<(text: string) => string>(
  (text) => text,
  (text) => encodeURIComponent(text),
  (text) => text.replace(/[!-~]/g, (c) => `%${c.charCodeAt(0).toString(16)}`),
  (text) => encodeURIComponent(encodeURIComponent(text)),
  (text) => base64(text, 'base64'),
  (text) => base64(`xy${text}`, 'base64url'),
  (text) => base64(base64(text, 'base64'), 'base64'),
  (text) => JSON.stringify({ value: text }),
  (text) => text.replace(/\d/g, (c) => `&#${c.charCodeAt(0)};`),
  (text) => text.replace(/\d/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`),
);

const plantedPan: fc.Arbitrary<Planted> = fc
  .tuple(pan, panSpelling, numberSpelling, encoding)
  .map(([raw, spell, number, encode]) => {
    const text = encode(number(spell(raw)));
    return { raw: [raw, text], text };
  });
const plantedSsn: fc.Arbitrary<Planted> = fc
  .tuple(ssn, numberSpelling, encoding)
  .map(([raw, number, encode]) => {
    const text = encode(number(raw));
    return { raw: [raw, text], text };
  });
const plantedKey: fc.Arbitrary<Planted> = fc
  .oneof(jwt, pem)
  .map((raw) => ({ raw: [raw, raw.slice(30, 50)], text: raw }));
const plantedCredential: fc.Arbitrary<Planted> = fc
  .tuple(
    word,
    fc.constantFrom(
      (secret: string) => `password=${secret}`,
      (secret: string) => `{"api_key":"${secret}"}`,
      (secret: string) => `Authorization: Bearer ${secret}`,
      (secret: string) => `Cookie: theme=dark; sid=${secret}`,
      (secret: string) => `sid=${secret}; Path=/; HttpOnly`,
      (secret: string) => `amqp://app:${encodeURIComponent(secret)}@broker:5672/`,
      (secret: string) => `client-secret: '${secret}'`,
    ),
  )
  .map(([raw, carry]) => ({ raw: [raw], text: carry(raw) }));

/** Text around a secret: what people and programs write, digits right beside it left out. */
const around = fc.oneof(
  fc.constantFrom('', ' ', 'paid with ', '(', 'note: ', 'x', ', ', 'é', '日本 '),
  fc
    .string({ unit: 'grapheme', maxLength: 12 })
    .map((text) => text.replace(/[\p{N}\u0000]/gu, '') + ' '),
);

type Place = (text: string) => AuditEvent;
const anywhere = fc.constantFrom<Place>(
  (text) => eventWith({ unknown: text }),
  (text) => eventWith({ deep: [{ list: [1, [text]] }] }),
  (text) => eventWith({ [text]: true }),
  (text) => eventWith({ a: { [text]: { b: 1 } } }),
  (text) => eventWith({ notes: text }),
  (text) => eventWith({ card: { holder: text } }),
  (text) => eventWith({}, { actor: { type: 'user', id: text, name: text, on_behalf_of: null } }),
  (text) =>
    eventWith(
      {},
      {
        actor: {
          type: 'user',
          id: 'a',
          name: 'b',
          on_behalf_of: { type: 'user', id: text, name: text },
        },
      },
    ),
  (text) => eventWith({}, { resource: { type: 'x', id: text, name: text, tenant_id: 'acme' } }),
  (text) => eventWith({}, { correlation: { request_id: text, trace_id: null, workflow_id: text } }),
  (text) =>
    eventWith({}, { source: { ip: null, user_agent: text, service: text, service_version: text } }),
  (text) => eventWith({}, { changes: ['name', text] }),
  (text) => eventWith({}, { origin: { signal: 'audit', record_id: text, stream_id: text } }),
);

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
    ['JWTs and PEM private keys', plantedKey],
    ['passwords, cookies and keys in text and URLs', plantedCredential],
  ])('%s', (_, planted) => {
    fc.assert(
      fc.property(planted, around, around, anywhere, (secret, before, after, place) => {
        const text = /^[A-Za-z0-9+/=_-]+$/.test(secret.text)
          ? `${before} ${secret.text} ${after}`
          : `${before}${secret.text} ${after}`;
        const event = place(text);
        fc.pre(checkEvent(event).ok);
        expectAbsent(event, secret.raw);
      }),
      RUNS,
    );
  });

  test('whatever stands under a name that says secret', () => {
    const name = fc
      .tuple(
        fc.constantFrom('', 'user', 'x', 'new', 'stripe'),
        fc.constantFrom(
          'password',
          'secret',
          'access_token',
          'api_key',
          'private_key',
          'cookie',
          'set_cookie',
          'authorization',
          'cvv',
          'cvc',
          'pin',
          'refresh_token',
        ),
        fc.constantFrom('snake', 'kebab', 'camel', 'upper', 'dotted'),
      )
      .map(([before, core, style]) => {
        const words = [...(before === '' ? [] : [before]), ...core.split('_')];
        if (style === 'kebab') return words.join('-');
        if (style === 'dotted') return words.join('.');
        if (style === 'upper') return words.join('_').toUpperCase();
        if (style === 'snake') return words.join('_');
        return words.map((w, i) => (i === 0 ? w : w.charAt(0).toUpperCase() + w.slice(1))).join('');
      });
    const value = fc.oneof(
      word,
      word.map((text): Json => ({ value: text, list: [text] })),
      word.map((text): Json => [text]),
    );
    fc.assert(
      fc.property(name, value, (key, secret) => {
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
