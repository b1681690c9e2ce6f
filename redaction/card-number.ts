/**
 * Card numbers in text: a run of digits with separators, a prefix and length that an issuer uses
 * (ISO/IEC 7812-1), and the Luhn check digit. A random number of 16 digits passes all three about
 * once in thirty; that is the price of not leaking the others.
 */
import { CARD_BRANDS } from './rules.ts';
import type { Span } from './spans.ts';

const RUN = /\d(?:[ \t.\-_+]{0,3}\d){11,}/g;
/** UUIDs and hashes in which not every digit is decimal: no card is looked for in them. */
const MACHINE_ID =
  /(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=\d*[a-f])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}))(?![0-9a-z])/gi;
/** An id and nothing else: perhaps a short prefix, then one run of digits. */
const IDENTIFIER = /^(?:[A-Za-z]{1,12}[-_:#/.]?)?\d+$/;
/** Within a text a number of its own is an id as well, up to the longest that a card may have. */
const NUMBER_DIGITS_MAX = 19;
const IDENTIFIER_DIGITS_NONE = 17;
/** German mobile numbers have as many digits behind the plus sign as the cards that Visa once issued. */
const PHONE_DIGITS = 13;
const PHONE_PLUS = /(?:^|[\s(:/])\+$/;
const LETTER = /\p{L}/u;
const LENGTHS_TRIED: readonly number[] = [19, 16, 18, 17, 15, 14, 13, 12];
const LENGTH_MIN = 12;
/** Shorter ones have to stand alone: looking for them within longer numbers would hit too many. */
const LENGTH_WITHIN_MIN = 14;

/** No number below it is that of a card. */
export const CARD_NUMBER_MIN = 1e11;

/** Whether these digits are a card number: issuer prefix, a length of that issuer, Luhn. */
export function isCardNumber(digits: string): boolean {
  return hasIssuer(digits) && passesLuhn(digits);
}

/** Finds the card numbers of a text, alone or inside longer runs of digits. */
export function findCardNumbers(text: string): readonly Span[] {
  const spans: Span[] = [];
  const searched = text.replace(MACHINE_ID, (id) => '\u0001'.repeat(id.length));
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
  const wholeOnly =
    digits.length !== IDENTIFIER_DIGITS_NONE &&
    (IDENTIFIER.test(text) || isNumberOfItsOwn(text, places));
  const first = places[0] ?? 0;
  const before = text.slice(Math.max(0, first - 2), first);
  if (digits.length === PHONE_DIGITS && PHONE_PLUS.test(before)) return;
  for (let from = 0; from + LENGTH_MIN <= digits.length;) {
    const length = LENGTHS_TRIED.find(
      (size) =>
        from + size <= digits.length &&
        (size === digits.length ||
          (!wholeOnly && (size >= LENGTH_WITHIN_MIN || isApart(places, from, size)))) &&
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

/** Whether the digits stand together, with no letter beside them. */
function isNumberOfItsOwn(text: string, places: readonly number[]): boolean {
  const [first = 0, last = 0] = [places[0], places.at(-1)];
  return (
    places.length <= NUMBER_DIGITS_MAX &&
    last - first === places.length - 1 &&
    !LETTER.test(text.charAt(first - 1)) &&
    !LETTER.test(text.charAt(last + 1))
  );
}

/** Whether the digits are one group, with separators on both sides. */
function isApart(places: readonly number[], from: number, length: number): boolean {
  const [first = 0, last = 0] = [places[from], places[from + length - 1]];
  return (
    last - first === length - 1 &&
    first - 1 !== places[from - 1] &&
    last + 1 !== places[from + length]
  );
}

/**
 * Cards are written in groups of four or more, or evenly; dates, IPs and versions are not. Nobody
 * writes them in sevens, as a large shop does its order numbers.
 */
function isGrouped(places: readonly number[], from: number, length: number): boolean {
  const groups: number[] = [1];
  for (let index = from + 1; index < from + length; index++) {
    if ((places[index] ?? 0) - (places[index - 1] ?? 0) === 1) groups.push((groups.pop() ?? 0) + 1);
    else groups.push(1);
  }
  const first = groups[0] ?? 0;
  const body = groups.slice(0, -1);
  if (body.every((size) => size >= 4 && size !== 7)) return true;
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
