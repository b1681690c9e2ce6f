/**
 * How people and programs write a number: in groups, in the digits of other scripts, with characters
 * between that nobody sees; and what encodings do to any text.
 */
import fc from 'fast-check';

type Change = (text: string) => string;

const inGroups = (size: number, separator: string) => (text: string) =>
  text.replace(new RegExp(`(.{${size}})(?=.)`, 'g'), `$1${separator}`);

/** Blanks, dashes and dots of Unicode; of the last ones nothing is seen. */
const SEPARATORS: readonly string[] = [
  ...[' ', '-', '.', '_', ' - '],
  ...['\u00a0', '\u2009', '\u3000', '\u2013', '\u2212', '\u30fc', '\uff0e', '\u00b7'],
  ...['\u00ad', '\u200b', '\u200d', '\u2060', '\ufeff'],
];

export const cardSpelling: fc.Arbitrary<Change> = fc.oneof(
  fc.constant<Change>((text) => text),
  fc.constantFrom(...SEPARATORS).map((separator) => inGroups(4, separator)),
  fc.constantFrom(' ', '\u00a0', '\u00ad', '\u200b').map((separator) => inGroups(1, separator)),
  fc.constant<Change>((text) => `${text.slice(0, 4)} ${text.slice(4, 10)} ${text.slice(10)}`),
);
/** Three, two and four digits: what tells it from any other number. */
export const ssnSpelling: fc.Arbitrary<Change> = fc
  .constantFrom('-', ' ', '.', ...SEPARATORS.filter((separator) => separator.length === 1))
  .map((separator) => (text: string) => text.replaceAll('-', separator));
export const ibanSpelling: fc.Arbitrary<Change> = fc.oneof(
  fc.constant<Change>((text) => text),
  fc.constant<Change>((text) => text.toLowerCase()),
  fc.constantFrom(' ', '-', '\u00a0', '\u00ad').map((separator) => inGroups(4, separator)),
);

/** Zeros of ASCII, of full width, Arabic-Indic, Persian, Devanagari, Thai and two mathematical sets. */
const ZEROS = [0x30, 0xff10, 0x0660, 0x06f0, 0x0966, 0x0e50, 0x1d7ce, 0x1d7f6];
const CIRCLED = '\u24ea\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468';
const DARK = '\u24ff\u2776\u2777\u2778\u2779\u277a\u277b\u277c\u277d\u277e';
const replaceDigits = (other: (digit: number, at: number) => string) => (text: string) =>
  text.replace(/\d/g, (digit, at: number) => other(Number(digit), at));
const ofScript = (zero: number) => (digit: number) => String.fromCodePoint(zero + digit);

export const inOtherDigits: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Change>((text) => text) },
  fc.constantFrom(...ZEROS).map((zero) => replaceDigits(ofScript(zero))),
  fc.constantFrom(CIRCLED, DARK).map((all) => replaceDigits((digit) => all.charAt(digit))),
  // Each digit from another script.
  fc.constant(
    replaceDigits((digit, at) => ofScript(ZEROS[(at * 5) % ZEROS.length] ?? 0x30)(digit)),
  ),
);

/** Base64 is looked into when the bytes are ASCII; other digits are written in ASCII first. */
const base64 = (text: string, format: 'base64' | 'base64url'): string =>
  Buffer.from(/^[ -~]*$/.test(text) ? text : encodeURIComponent(text)).toString(format);

export const encoding: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Change>((text) => text) },
  fc.constantFrom<Change>(
    (text) => encodeURIComponent(text),
    (text) => text.replace(/[!-~]/g, (c) => `%${c.charCodeAt(0).toString(16)}`),
    (text) => encodeURIComponent(encodeURIComponent(text)),
    (text) => base64(text, 'base64'),
    (text) => base64(`xy${text}`, 'base64url'),
    (text) => base64(base64(text, 'base64'), 'base64'),
    (text) => encodeURIComponent(base64(text, 'base64')),
    (text) => JSON.stringify({ value: text }),
    (text) => text.replace(/\d/g, (c) => `&#${c.charCodeAt(0)};`),
    (text) => text.replace(/\d/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`),
  ),
);
