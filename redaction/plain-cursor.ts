/**
 * A place in the bytes of JSON text, and what can be read from there without building a value. What a
 * `read` does not find plain it answers with false, and the cursor is of no use after that.
 */
import { EVENT_DEPTH_MAX } from '../schemas/json-check.ts';
import { CARD_NUMBER_MIN } from './card-number.ts';
import {
  CLOSE_LIST,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  DIGIT,
  DOT,
  FALSE,
  FIELD,
  FIELD_FIRST,
  NULL,
  NUMBER,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
  TRUE,
} from './plain-layout.ts';
import { isPersonal } from './personal.ts';
import { createPlainNames, type PlainRules } from './plain-names.ts';
import { PlainWords } from './plain-words.ts';

/** With so many digits it is an integer below that, and written in the one way there is. */
const SMALL_DIGITS_MAX = 11;
const ZERO = 0x30;

/** A class, for the fields are what the hot path lives on. */
export class PlainCursor {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  private readonly rules: PlainRules;
  private readonly words = new PlainWords();
  private readonly isPlainName: (name: string) => boolean;

  constructor(rules: PlainRules) {
    this.rules = rules;
    this.isPlainName = createPlainNames(rules);
  }

  /** Moves over exactly this text, or stays. */
  skip(text: Uint8Array): boolean {
    const { bytes, at } = this;
    const { length } = text;
    for (let index = 0; index < length; index++) {
      if (bytes[at + index] !== text[index]) return false;
    }
    this.at = at + length;
    return true;
  }

  /** Whether a string begins here. */
  isAtString(): boolean {
    return this.bytes[this.at] === QUOTE;
  }

  /** The string that ends here and began there. */
  stringFrom(start: number): string {
    return this.words.read(this.bytes, start + 1, this.at - 1);
  }

  /** A string of `min` to `max` characters in which redaction finds nothing. */
  readText(min: number, max: number, keepEmails = false): boolean {
    const { bytes, at } = this;
    if (bytes[at] !== QUOTE) return false;
    // For one that is not clean -1: shorter than any text.
    const { suspicion, keepsEmails } = this.rules;
    const end = suspicion.endOfCleanText(bytes, at + 1, keepEmails && keepsEmails);
    const length = end - at - 1;
    if (length < min || length > max) return false;
    this.at = end + 1;
    return true;
  }

  /** A text of `min` to `max` characters that is no person's either. */
  readId(min: number, max: number): boolean {
    const start = this.at;
    return this.readText(min, max) && !isPersonal(this.bytes, start + 1, this.at - 1);
  }

  readTextOrNull(min: number, max: number): boolean {
    return this.isAtString() ? this.readText(min, max) : this.skip(NULL);
  }

  /** A string of `min` to `max` characters out of a set. */
  readWord(set: Uint8Array, min: number, max: number): boolean {
    const { bytes, at } = this;
    if (bytes[at] !== QUOTE) return false;
    let end = at + 1;
    while (set[bytes[end] ?? 0] === 1) end++;
    const length = end - at - 1;
    if (length < min || length > max || bytes[end] !== QUOTE) return false;
    this.at = end + 1;
    return true;
  }

  readOneOf(words: ReadonlyMap<string, Uint8Array>): boolean {
    for (const word of words.values()) if (this.skip(word)) return true;
    return false;
  }

  /** Four groups of one to three digits, in quotes. */
  readDottedQuad(): boolean {
    const { bytes } = this;
    let at = this.at + 1;
    for (let group = 0; group < 4; group++) {
      const start = at;
      while (DIGIT[bytes[at] ?? 0] === 1) at++;
      if (at === start || at > start + 3 || bytes[at++] !== (group < 3 ? DOT : QUOTE)) return false;
    }
    this.at = at;
    return true;
  }

  /** The name of a field in which redaction finds nothing. */
  private readFieldName(max: number): boolean {
    const { bytes, at } = this;
    if (FIELD_FIRST[bytes[at + 1] ?? 0] !== 1 || !this.readText(1, max)) return false;
    for (let index = at + 2; index < this.at - 1; index++) {
      if (FIELD[bytes[index] ?? 0] !== 1) return false;
    }
    return true;
  }

  /** A list of texts, or of names of fields. */
  readTexts(max: number, itemsMax: number, isOfFields = false): boolean {
    const { bytes } = this;
    if (bytes[this.at++] !== OPEN_LIST) return false;
    if (bytes[this.at] === CLOSE_LIST) {
      this.at++;
      return true;
    }
    for (let items = 1; items <= itemsMax; items++) {
      if (!(isOfFields ? this.readFieldName(max) : this.readText(1, max))) return false;
      const next = bytes[this.at++];
      if (next === CLOSE_LIST) return true;
      if (next !== COMMA) return false;
    }
    return false;
  }

  /** Any object; `depth` is its level in the event. */
  readObject(depth: number): boolean {
    const { bytes } = this;
    if (bytes[this.at] !== OPEN_OBJECT || depth > EVENT_DEPTH_MAX) return false;
    this.at++;
    if (bytes[this.at] === CLOSE_OBJECT) {
      this.at++;
      return true;
    }
    // Names rise, and so none stands there twice. An empty one is left to the longer way.
    let previous = '';
    for (;;) {
      const start = this.at;
      if (!this.readText(1, Infinity)) return false;
      const name = this.stringFrom(start);
      if (name <= previous || !this.isPlainName(name) || bytes[this.at] !== COLON) return false;
      previous = name;
      this.at++;
      if (!this.readValue(depth + 1)) return false;
      const next = bytes[this.at++];
      if (next === CLOSE_OBJECT) return true;
      if (next !== COMMA) return false;
    }
  }

  private readValue(depth: number): boolean {
    const first = this.bytes[this.at];
    if (first === QUOTE) return this.readText(0, Infinity);
    if (first === OPEN_OBJECT) return this.readObject(depth);
    if (first === OPEN_LIST) return this.readList(depth);
    return this.skip(TRUE) || this.skip(FALSE) || this.skip(NULL) || this.readNumber();
  }

  private readList(depth: number): boolean {
    if (depth > EVENT_DEPTH_MAX) return false;
    const { bytes } = this;
    this.at++;
    if (bytes[this.at] === CLOSE_LIST) {
      this.at++;
      return true;
    }
    for (;;) {
      if (!this.readValue(depth + 1)) return false;
      const next = bytes[this.at++];
      if (next === CLOSE_LIST) return true;
      if (next !== COMMA) return false;
    }
  }

  /** ECMAScript's own form of a number is the canonical one. */
  private readNumber(): boolean {
    const { bytes, at: start } = this;
    let at = start;
    while (DIGIT[bytes[at] ?? 0] === 1) at++;
    const digits = at - start;
    if (NUMBER[bytes[at] ?? 0] === 0) {
      this.at = at;
      return digits === 1 || (digits > 1 && digits <= SMALL_DIGITS_MAX && bytes[start] !== ZERO);
    }
    while (NUMBER[bytes[at] ?? 0] === 1) at++;
    this.at = at;
    const written = bytes.toString('latin1', start, at);
    const value = Number(written);
    return String(value) === written && value < CARD_NUMBER_MIN && value > -CARD_NUMBER_MIN;
  }
}
