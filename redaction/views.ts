/**
 * Views: other readings of a string, each character tied to where it stands in the source.
 * A view folds digits and letters of other scripts and widths, drops invisible characters, and
 * undoes percent, JSON and HTML escapes, so that detectors see what a reader would see.
 */

/** A reading of a string; character i of `text` stands for source [starts[i], ends[i]). */
export interface View {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

const PRINTABLE = /^[\t\n\r\x20-\x7e]*$/;
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\p{M}\p{Cf}\u0000]/u;
const INVISIBLE_BETWEEN = /[\p{Nd}\p{No}][\p{Default_Ignorable_Code_Point}\p{Cf}]+[\p{Nd}\p{No}]/u;
const DIGIT = /\p{Nd}/u;
/** Dashes, and the bar that lengthens a Japanese vowel and stands in telephone numbers. */
const DASH = /[\p{Pd}\u2212\u2043\u30fc]/u;
const DOT = /[\u00b7\u2022\u2219\u22c5\u30fb]/u;
const NUMERAL = /\p{No}/u;
const LETTER = /\p{L}/u;
/** Where the numerals 1 to 9 in circles begin, as far as compatibility forms do not undo them. */
const CIRCLED_ONES: readonly number[] = [0x24f5, 0x2776, 0x2780, 0x278a];
const CIRCLED_ZEROS = /[\u24ff\u{1f10b}\u{1f10c}]/u;
const SPACE = /[\p{Zs}]/u;
const ESCAPES =
  /(?:%[0-9a-f]{2})+|\\u[0-9a-f]{4}|\\u\{[0-9a-f]{1,6}\}|\\x[0-9a-f]{2}|&#x[0-9a-f]{1,6};|&#[0-9]{1,7};/gi;
const ESCAPED = /%[0-9a-f]{2}|\\[ux]|&#/i;
const ESCAPE_DEPTH_MAX = 3;

/** Cyrillic and Greek letters that look like Latin ones, and the Latin ones. */
const LOOK_ALIKES: ReadonlyMap<string, string> = new Map(
  [...'аеорсухіѕјкмнтвԁһӏοαερνιτκυ'].map((letter, index) => [
    letter,
    'aeopcyxisjkmhtbdhloaepvitku'.charAt(index),
  ]),
);

/** Whether the text has characters that fold to others. */
export function needsFolding(text: string): boolean {
  return !PRINTABLE.test(text);
}

/** Whether the text has escapes to undo. */
export function hasEscapes(text: string): boolean {
  return ESCAPED.test(text);
}

/** The text as its own view. */
export function plainView(text: string): View {
  const starts: number[] = [];
  const ends: number[] = [];
  for (let at = 0; at < text.length; at++) {
    starts.push(at);
    ends.push(at + 1);
  }
  return { text, starts, ends };
}

/** Folds look-alikes; of invisible characters it makes nothing, or this text. */
export function foldView(view: View, invisible = ''): View {
  if (!needsFolding(view.text)) return view;
  const build = createBuilder();
  let at = 0;
  for (const character of view.text) {
    const end = at + character.length;
    const folded = IGNORABLE.test(character) ? invisible : foldCharacter(character);
    build.put(folded, view.starts[at] ?? 0, view.ends[end - 1] ?? 0);
    at = end;
  }
  return build.view();
}

/** Whether invisible characters stand between digits, perhaps in place of dashes. */
export function hasInvisibleBetweenDigits(text: string): boolean {
  return INVISIBLE_BETWEEN.test(text);
}

/** Undoes escapes, nested ones too, down to three levels. */
export function unescapeView(view: View): View {
  let current = view;
  for (let level = 0; level < ESCAPE_DEPTH_MAX && hasEscapes(current.text); level++) {
    const next = unescapeOnce(current);
    if (next.text === current.text) break;
    current = next;
  }
  return current;
}

/** The folded text alone, for names of members. */
export function foldText(text: string): string {
  if (!needsFolding(text)) return text;
  let folded = '';
  for (const character of text) folded += foldCharacter(character);
  return folded;
}

function foldCharacter(character: string): string {
  if (character <= '\x7e' && character !== '\u0000') return character;
  if (IGNORABLE.test(character)) return '';
  const lower = LOOK_ALIKES.get(character.toLowerCase());
  if (lower !== undefined) return lower;
  const folded = character.normalize('NFKC');
  // A month or an hour in one character (U+32CB is December): no digit of a number that stands before it.
  if (DIGIT.test(folded) && LETTER.test(folded)) return character;
  if (DIGIT.test(folded))
    return /^\((\d)\)$/.exec(folded)?.[1] ?? [...folded].map(digitOf).join('');
  if (DASH.test(folded)) return '-';
  if (DOT.test(folded)) return '.';
  if (NUMERAL.test(folded)) return numeralOf(folded);
  if (SPACE.test(folded)) return ' ';
  return folded === character ? character : folded.replace(/\p{M}/gu, '');
}

/** Decimal digits of a script are ten consecutive code points, so 0 is found by walking back. */
function digitOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return character;
  let value = 0;
  while (value < 9 && DIGIT.test(String.fromCodePoint(code - value - 1))) value++;
  // Mathematical digits are five sets in a row, but NFKC has already folded those.
  return String(value);
}

/** One digit for a numeral in a circle; any other (a fraction, a ten) stays. */
function numeralOf(character: string): string {
  if (CIRCLED_ZEROS.test(character)) return '0';
  const code = character.codePointAt(0) ?? 0;
  const one = CIRCLED_ONES.find((first) => code >= first && code < first + 9);
  return one === undefined ? character : String(code - one + 1);
}

function unescapeOnce(view: View): View {
  const build = createBuilder();
  let at = 0;
  const copy = (end: number): void => {
    for (; at < end; at++) {
      build.put(view.text.charAt(at), view.starts[at] ?? 0, view.ends[at] ?? 0);
    }
  };
  for (const match of view.text.matchAll(ESCAPES)) {
    copy(match.index);
    const end = match.index + match[0].length;
    if (match[0].startsWith('%')) putPercent(build, match[0], view, match.index);
    else build.put(unescapeCode(match[0]), view.starts[at] ?? 0, view.ends[end - 1] ?? 0);
    at = end;
  }
  copy(view.text.length);
  return build.view();
}

/** ASCII bytes one by one, so that spans stay tight; anything else as one UTF-8 run. */
function putPercent(build: Builder, escapes: string, view: View, offset: number): void {
  const bytes = Buffer.from(escapes.replaceAll('%', ''), 'hex');
  const start = (index: number): number => view.starts[offset + index * 3] ?? 0;
  const end = (index: number): number => view.ends[offset + index * 3 + 2] ?? 0;
  if (bytes.every((byte) => byte < 0x80)) {
    bytes.forEach((byte, index) => build.put(String.fromCharCode(byte), start(index), end(index)));
    return;
  }
  build.put(bytes.toString('utf8'), start(0), end(bytes.length - 1));
}

function unescapeCode(escape: string): string {
  const hex = /^&#\d/.test(escape) ? null : /[0-9a-f]{1,6}(?=[;}]?$)/i.exec(escape.slice(2))?.[0];
  const code =
    hex === null
      ? Number.parseInt(escape.slice(2), 10)
      : Number.parseInt(hex ?? escape.slice(3), 16);
  return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : ' ';
}

interface Builder {
  put(text: string, start: number, end: number): void;
  view(): View;
}

function createBuilder(): Builder {
  let text = '';
  const starts: number[] = [];
  const ends: number[] = [];
  return {
    put(part, start, end) {
      text += part;
      for (let unit = 0; unit < part.length; unit++) {
        starts.push(start);
        ends.push(end);
      }
    },
    view: () => ({ text, starts, ends }),
  };
}
