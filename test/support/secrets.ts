/**
 * Secrets to plant: numbers that check out, tokens and passwords, in the spellings and encodings that
 * people and programs use.
 */
import fc from 'fast-check';
import type { AuditEvent, Json } from '../../schemas/event.ts';
import { cardSpelling, encoding, ibanSpelling, inOtherDigits, ssnSpelling } from './spellings.ts';

/** What must not be found again, and the text that carries it. */
export interface Planted {
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

/** Prefixes and lengths in which cards are issued; of this file's own, not those that redaction looks for. */
const ISSUED: readonly (readonly [prefix: string, lengths: readonly number[]])[] = [
  ['4', [13, 16, 19]],
  ['51', [16]],
  ['55', [16]],
  ['2221', [16]],
  ['2720', [16]],
  ['34', [15]],
  ['37', [15]],
  ['300', [14, 16, 19]],
  ['36', [14, 15, 17, 18]],
  ['38', [14, 16]],
  ['6011', [16, 18, 19]],
  ['649', [16, 17]],
  ['65', [16, 19]],
  ['3528', [16, 19]],
  ['3589', [17, 18]],
  ['62', [16, 17, 18, 19]],
  ['5018', [12, 13, 14, 16, 19]],
  ['6304', [12, 15, 18]],
  ['6763', [12, 13, 17]],
  ['2204', [16, 19]],
  ['60', [16]],
  ['5061', [16, 18, 19]],
  ['9792', [16]],
];

/** A card number that passes the Luhn check, of any issuer and length. */
export const pan: fc.Arbitrary<string> = fc
  .constantFrom(...ISSUED.flatMap(([prefix, all]) => all.map((length) => ({ prefix, length }))))
  .chain(({ prefix, length }) =>
    digits(length).map((rest) => withCheckDigit((prefix + rest).slice(0, length - 1))),
  );

/** A social security number. */
export const ssn: fc.Arbitrary<string> = fc
  .tuple(
    fc.integer({ min: 1, max: 665 }),
    fc.integer({ min: 1, max: 99 }),
    fc.integer({ min: 1, max: 9999 }),
  )
  .map(
    ([area, group, serial]) =>
      `${String(area).padStart(3, '0')}-${String(group).padStart(2, '0')}-${String(serial).padStart(4, '0')}`,
  );

/** Not fc.string: that one likes words of JavaScript ("arguments"), which stand in ordinary texts too. */
const randomText = (alphabet: string, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...alphabet), { minLength, maxLength })
    .map((letters) => letters.join(''));
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const base64url = (minLength: number): fc.Arbitrary<string> =>
  randomText(BASE64URL, minLength, minLength + 30);
/** A password, as a generator of passwords makes them. */
export const word: fc.Arbitrary<string> = randomText(
  'ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789!#$*',
  8,
  24,
);

/** A JSON Web Token. */
export const jwt: fc.Arbitrary<string> = fc
  .tuple(base64url(20), base64url(20))
  .map(([payload, signature]) => `eyJhbGciOiJFUzI1NiJ9.${payload}.${signature}`);
const pem = base64url(64).map(
  (body) => `-----BEGIN EC PRIVATE KEY-----\n${body}\n-----END EC PRIVATE KEY-----`,
);

const IBAN_FORMS: readonly (readonly [country: string, bank: string, digits: number])[] = [
  ['DE', '', 18],
  ['ES', '', 20],
  ['NL', 'ABNA', 10],
  ['GB', 'WEST', 14],
  ['PL', '', 24],
  ['FR', '', 23],
  ['NO', '', 11],
];
/** An IBAN whose check digits are right. */
export const iban: fc.Arbitrary<string> = fc
  .constantFrom(...IBAN_FORMS)
  .chain(([country, bank, count]) =>
    digits(count).map((rest) => {
      const letters = `${bank}${rest}${country}00`.replace(/[A-Z]/g, (letter) =>
        String(letter.charCodeAt(0) - 55),
      );
      const check = 98n - (BigInt(letters) % 97n);
      return `${country}${String(check).padStart(2, '0')}${bank}${rest}`;
    }),
  );

const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const ALPHANUMERIC = BASE64URL.slice(0, 62);
/** A key by whose beginning its issuer is told. */
export const apiKey: fc.Arbitrary<string> = fc.oneof(
  ...(
    [
      ['AKIA', UPPER, 16],
      ['ASIA', UPPER, 16],
      ['ghp_', ALPHANUMERIC, 36],
      ['gho_', ALPHANUMERIC, 36],
      ['github_pat_', ALPHANUMERIC, 60],
      ['glpat-', BASE64URL, 20],
      ['AIza', BASE64URL, 35],
      ['ya29.', BASE64URL, 60],
      ['GOCSPX-', BASE64URL, 28],
      ['xoxb-', ALPHANUMERIC, 24],
      ['sk_live_', ALPHANUMERIC, 24],
      ['npm_', ALPHANUMERIC, 36],
    ] as const
  ).map(([prefix, alphabet, length]) =>
    randomText(alphabet, length, length).map((rest) => prefix + rest),
  ),
);
/** A number in some writing and encoding. */
const written = (
  value: fc.Arbitrary<string>,
  spelling: fc.Arbitrary<(text: string) => string>,
): fc.Arbitrary<Planted> =>
  fc.tuple(value, spelling, inOtherDigits, encoding).map(([raw, spell, digits, encode]) => {
    const text = encode(digits(spell(raw)));
    return { raw: [raw, text], text };
  });

/** A card number, however written. */
export const plantedPan: fc.Arbitrary<Planted> = written(pan, cardSpelling);
/** A social security number in any digits and encoding. */
export const plantedSsn: fc.Arbitrary<Planted> = written(ssn, ssnSpelling);
/** An IBAN, in one piece or in groups. */
export const plantedIban: fc.Arbitrary<Planted> = written(iban, ibanSpelling);

/** A token or private key. */
export const plantedKey: fc.Arbitrary<Planted> = fc
  .oneof(jwt, pem, apiKey)
  .map((raw) => ({ raw: [raw, raw.slice(raw.length / 3, (raw.length * 2) / 3)], text: raw }));
/** A password, cookie or key as text and URLs carry it. */
export const plantedCredential: fc.Arbitrary<Planted> = fc
  .tuple(
    word,
    fc.constantFrom(
      (secret: string) => `password=${secret}`,
      (secret: string) => `{"api_key":"${secret}"}`,
      (secret: string) => `Authorization: Bearer ${secret}`,
      (secret: string) => `curl -H 'authorization: bearer ${secret}7Q'`,
      (secret: string) => `Cookie: theme=dark; sid=${secret}`,
      (secret: string) => `Set-Cookie: id=${secret}; Secure`,
      (secret: string) => `sid=${secret}; Path=/; HttpOnly`,
      (secret: string) => `amqp://app:${encodeURIComponent(secret)}@broker:5672/`,
      (secret: string) => `see postgres://:${encodeURIComponent(secret)}@db.example/x?ssl=1`,
      (secret: string) => `client-secret: '${secret}'`,
      (secret: string) => `aws_secret_access_key = ${secret}`,
      (secret: string) => `the password is ${secret}2`,
    ),
  )
  .map(([raw, carry]) => ({ raw: [raw, encodeURIComponent(raw)], text: carry(raw) }));
/** Any of these. */
export const anySecret: fc.Arbitrary<Planted> = fc.oneof(
  plantedPan,
  plantedSsn,
  plantedIban,
  plantedKey,
  plantedCredential,
);

/** Text around a secret: what people and programs write, digits right beside it left out. */
export const around: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('', ' ', 'paid with ', '(', 'note: ', 'x', ', ', 'é', '日本 '),
  fc
    .string({ unit: 'grapheme', maxLength: 12 })
    .map((text) => text.replace(/[\p{N}\u0000]/gu, '') + ' '),
);

/** Plants a text that carries a secret among other text, apart from letters it would melt into. */
export function embed(secret: string, before: string, after: string): string {
  const gap = /^[A-Za-z0-9+/=_-]+$/.test(secret) ? ' ' : '';
  return `${before}${gap}${secret} ${after}`;
}

/** A member name that says secret, in any spelling. */
export const secretName: fc.Arbitrary<string> = fc
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

/** Builds an ordinary event around this metadata, with these members replaced. */
export type EventBuilder = (
  metadata: { readonly [name: string]: Json },
  over?: Partial<AuditEvent>,
) => AuditEvent;

/** Everywhere in an event where a text can stand. */
export const PLACES: readonly ((text: string, build: EventBuilder) => AuditEvent)[] = [
  (text, build) => build({ unknown: text }),
  (text, build) => build({ deep: [{ list: [1, [text]] }] }),
  (text, build) => build({ [text]: true }),
  (text, build) => build({ a: { [text]: { b: 1 } } }),
  (text, build) => build({ notes: text }),
  (text, build) => build({ card: { holder: text } }),
  (text, build) => build({}, { actor: { type: 'user', id: text, name: text, on_behalf_of: null } }),
  (text, build) =>
    build(
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
  (text, build) => build({}, { resource: { type: 'x', id: text, name: text, tenant_id: 'acme' } }),
  (text, build) =>
    build({}, { correlation: { request_id: text, trace_id: null, workflow_id: text } }),
  (text, build) =>
    build({}, { source: { ip: null, user_agent: text, service: text, service_version: text } }),
  (text, build) => build({}, { changes: ['name', text] }),
  (text, build) => build({}, { origin: { signal: 'audit', record_id: text, stream_id: text } }),
];
