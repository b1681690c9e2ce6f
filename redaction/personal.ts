/**
 * People in ids that are to be opaque: a request, a workflow or a session is no place for a name. What is found
 * goes for good, without a token: a keyed token would still lead to a person whom the vault has forgotten.
 * Form alone tells, so a name in lower case (`alice.cooper`) is taken for a word. Pure.
 */
import { compile } from './shift-and.ts';
import type { Span } from './spans.ts';

const PATTERNS: readonly RegExp[] = [
  // +49 151 23456789; the plus of Base64 has a letter or digit before it.
  /(?<![A-Za-z0-9])\+\d(?:[ ./()-]{0,2}\d){7,14}(?!\d)/g,
  /(?<![A-Za-z])(?:phone|mobile|msisdn|tel|fax)[^A-Za-z0-9]{1,3}\d(?:[ ./()-]{0,2}\d){6,14}(?!\d)/gi,
  // (555) 867-5309
  /(?<![\w-])\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}(?![\w-])/g,
  // Alice Cooper, Alice B. Cooper, Alice-Cooper7; random ids seldom have two such words side by side
  /(?<![\p{L}\p{N}])\p{Lu}\p{Ll}{2,}(?:[ ._-]{1,2}\p{Lu}\.?)?(?:[ ._-]\p{Lu}\p{Ll}{2,}){1,2}(?!\p{L})/gu,
  // user=alice, patient:cooper; with a digit in it, it is an id.
  /(?<![A-Za-z])(?:user|username|login|customer|patient|employee|member|person|name|owner|mail|email)[=:]\p{L}[\p{L}.'-]+(?![\p{L}\p{N}_])/giu,
];

const SEPARATOR = ' ._-';
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const DIGIT = '0123456789';
/** ASCII that is neither letter nor digit. */
const SIGN = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code))
  .filter((character) => !/[A-Za-z0-9]/.test(character))
  .join('');

/** What each of the patterns has in it, in ASCII. */
const HINTS = compile([
  ['+=:()'],
  // phone, mobile, msisdn, tel, fax
  ...[
    ['nN', 'eE'],
    ['lL', 'eE'],
    ['dD', 'nN'],
    ['eE', 'lL'],
    ['aA', 'xX'],
  ].map((end) => [...end, SIGN]),
  // 555-867-5309
  [SEPARATOR, DIGIT, DIGIT, DIGIT, SEPARATOR, DIGIT],
  // Alice Cooper, Alice. B Cooper
  [LOWER, SEPARATOR, UPPER],
  [LOWER, SEPARATOR, SEPARATOR, UPPER],
]);

/**
 * Whether findPersonal finds something in the ASCII text of bytes [start, end). One pass tells of nearly
 * every id that it does not, and no string is made of it.
 */
export function isPersonal(bytes: Buffer, start: number, end: number): boolean {
  return (
    hasHint(bytes, start, end) && findPersonal(bytes.toString('latin1', start, end)).length > 0
  );
}

/** False only where findPersonal finds nothing. */
export function hasHint(bytes: Buffer, start: number, end: number): boolean {
  const { masks, firsts, lasts } = HINTS;
  let state = 0;
  for (let at = start; at < end; at++) {
    state = ((state << 1) | firsts) & (masks[bytes[at] ?? 0] ?? 0);
    if ((state & lasts) !== 0) return true;
  }
  return false;
}

/** Telephone numbers and names; addresses and official numbers are found by the detectors. */
export function findPersonal(text: string): readonly Span[] {
  return PATTERNS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      start: match.index,
      end: match.index + match[0].length,
      kind: 'personal' as const,
      value: '',
    })),
  );
}
