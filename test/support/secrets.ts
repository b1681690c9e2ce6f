/**
 * Secrets to plant: numbers that check out, tokens and passwords, in the spellings and encodings that
 * people and programs use.
 */
import fc from 'fast-check';
import { CARD_BRANDS } from '../../redaction/rules.ts';
import type { AuditEvent, Json } from '../../schemas/event.ts';

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

/** A card number that passes the Luhn check, of any issuer and length. */
export const pan: fc.Arbitrary<string> = fc
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

/** A card number, however written. */
export const plantedPan: fc.Arbitrary<Planted> = fc
  .tuple(pan, panSpelling, numberSpelling, encoding)
  .map(([raw, spell, number, encode]) => {
    const text = encode(number(spell(raw)));
    return { raw: [raw, text], text };
  });
/** A social security number in any digits and encoding. */
export const plantedSsn: fc.Arbitrary<Planted> = fc
  .tuple(ssn, numberSpelling, encoding)
  .map(([raw, number, encode]) => {
    const text = encode(number(raw));
    return { raw: [raw, text], text };
  });
/** A token or private key. */
export const plantedKey: fc.Arbitrary<Planted> = fc
  .oneof(jwt, pem)
  .map((raw) => ({ raw: [raw, raw.slice(30, 50)], text: raw }));
/** A password, cookie or key as text and URLs carry it. */
export const plantedCredential: fc.Arbitrary<Planted> = fc
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
