/**
 * Card numbers in text: a run of digits with separators, a prefix and length that an issuer uses
 * (ISO/IEC 7812-1), and the Luhn check digit. A random number of 16 digits passes all three about
 * once in forty; that is the price of not leaking the others.
 */
import { CARD_BRANDS } from './rules.ts';
import type { Span } from './spans.ts';

const RUN = /\d(?:[ \t.\-_+]{0,3}\d){12,}/g;
const UUID = /(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])/gi;
/** An id and nothing else: perhaps a short prefix, then one run of digits. */
const IDENTIFIER = /^(?:[A-Za-z]{1,12}[-_:#/.]?)?\d+$/;
const IDENTIFIER_DIGITS_NONE = 17;
const LENGTHS_TRIED: readonly number[] = [19, 16, 18, 17, 15, 14, 13];

/** Whether these digits are a card number: issuer prefix, a length of that issuer, Luhn. */
export function isCardNumber(digits: string): boolean {
  return hasIssuer(digits) && passesLuhn(digits);
}

/** Finds the card numbers of a text, alone or inside longer runs of digits. */
export function findCardNumbers(text: string): readonly Span[] {
  const spans: Span[] = [];
  const searched = text.replace(UUID, (uuid) => '\u0001'.repeat(uuid.length));
  for (const match of searched.matchAll(RUN)) {
    const places: number[] = [];
    let digits = '';
    for (let at = 0; at < match[0].length; at++) {
      const character = match[0].charAt(at);
      if (character < '0' || character > '9') continue;
      digits += character;
      places.push(match.index + at);
    }
    findInRun(text, digits, places, spans);
  }
  return spans;
}

function findInRun(text: string, digits: string, places: readonly number[], spans: Span[]): void {
  // Order numbers and snowflake ids: looking for a card inside one would hit every tenth. With 17
  // digits nothing is numbered; that is a card and a digit next to it.
  const wholeOnly = digits.length !== IDENTIFIER_DIGITS_NONE && IDENTIFIER.test(text);
  for (let from = 0; from + 13 <= digits.length;) {
    const length = LENGTHS_TRIED.find(
      (size) =>
        from + size <= digits.length &&
        (size === digits.length || (!wholeOnly && size > 13)) &&
        isCardNumber(digits.slice(from, from + size)) &&
        isGrouped(places, from, size),
    );
    if (length === undefined) {
      from++;
      continue;
    }
    const end = places[from + length - 1] ?? 0;
    spans.push({
      start: places[from] ?? 0,
      end: end + 1,
      kind: 'pan',
      value: digits.slice(from, from + length),
    });
    from += length;
  }
}

/** Cards are written in groups of four or more, or evenly; dates, IPs and versions are not. */
function isGrouped(places: readonly number[], from: number, length: number): boolean {
  const groups: number[] = [1];
  for (let index = from + 1; index < from + length; index++) {
    if ((places[index] ?? 0) - (places[index - 1] ?? 0) === 1) groups.push((groups.pop() ?? 0) + 1);
    else groups.push(1);
  }
  const first = groups[0] ?? 0;
  const body = groups.slice(0, -1);
  if (body.every((size) => size >= 4)) return true;
  const whole = places.length === length;
  return (first === 1 || (first === 2 && whole)) && body.every((size) => size === first);
}

function hasIssuer(digits: string): boolean {
  return CARD_BRANDS.some(
    (brand) =>
      brand.lengths.includes(digits.length) &&
      brand.prefixes.some(([low, high]) => {
        const prefix = Number(digits.slice(0, String(low).length));
        return prefix >= low && prefix <= high;
      }),
  );
}

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let at = digits.length - 1, double = false; at >= 0; at--, double = !double) {
    const digit = digits.charCodeAt(at) - 48;
    const doubled = digit * 2;
    sum += double ? (doubled > 9 ? doubled - 9 : doubled) : digit;
  }
  return sum % 10 === 0;
}
