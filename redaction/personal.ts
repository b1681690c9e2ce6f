/**
 * People in ids that are to be opaque: a request, a workflow or a session is no place for a name. What is found
 * goes for good, without a token: a keyed token would still lead to a person whom the vault has forgotten.
 * Form alone tells, so a name in lower case (`alice.cooper`) is taken for a word. Pure.
 */
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

const NAMES = /[A-Z][a-z]+[ ._-]{1,2}[A-Z]/;
const SIGNS = /[+=:()]|\d{3}[ .-]{1,2}\d{3}[ .-]|(?:phone|mobile|msisdn|tel|fax)[^A-Za-z0-9]/i;

/** Whether findPersonal may find something in a text of ASCII; any other is always looked at. */
export function mayBePersonal(text: string): boolean {
  return SIGNS.test(text) || NAMES.test(text);
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
