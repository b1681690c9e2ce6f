/**
 * What plain text is written with: bytes of canonical JSON, each character checked on its way. Once
 * something was not plain it stays so, and what has been written is of no use. Writing beyond the bytes
 * is no fault: it writes nothing there, and `at` tells.
 */
import type { Json } from '../schemas/event.ts';
import { EVENT_DEPTH_MAX } from '../schemas/json-check.ts';
import { CARD_NUMBER_MIN } from './card-number.ts';
import {
  ASCII,
  CLOSE_LIST,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  FALSE,
  FIELD,
  FIELD_FIRST,
  NULL,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
  TRUE,
} from './plain-layout.ts';
import { isPersonal } from './personal.ts';
import { createPlainNames, type PlainRules } from './plain-names.ts';

/** A class, for the fields are what the hot path lives on. */
export class PlainPen {
  at = 0;
  isPlain = true;
  private bytes: Buffer = Buffer.alloc(0);
  private readonly rules: PlainRules;
  private readonly isPlainName: (name: string) => boolean;

  constructor(rules: PlainRules) {
    this.rules = rules;
    this.isPlainName = createPlainNames(rules);
  }

  begin(bytes: Buffer, at: number): void {
    this.bytes = bytes;
    this.at = at;
    this.isPlain = true;
  }

  refuse(): void {
    this.isPlain = false;
  }

  /** Fixed text. */
  put(text: Uint8Array): void {
    const { bytes, at } = this;
    const { length } = text;
    for (let index = 0; index < length; index++) bytes[at + index] = text[index] ?? 0;
    this.at = at + length;
  }

  /** A string of `min` to `max` characters in which redaction finds nothing. */
  text(value: unknown, min: number, max: number, keepEmails = false): void {
    if (typeof value !== 'string' || value.length < min || value.length > max) {
      this.isPlain = false;
      return;
    }
    const { bytes, at } = this;
    const end = at + 1 + value.length;
    this.quoted(value, ASCII);
    // Read back, as the agent will: a quote inside would end it too soon. Where it does not fit it was
    // not written whole, and `at` tells that.
    if (end >= bytes.length) return;
    const { suspicion, keepsEmails } = this.rules;
    if (suspicion.endOfCleanText(bytes, at + 1, keepEmails && keepsEmails) !== end)
      this.isPlain = false;
  }

  /** A text that is no person's either. */
  id(value: unknown, min: number, max: number): void {
    const start = this.at;
    this.text(value, min, max);
    if (this.isPlain && isPersonal(this.bytes, start + 1, this.at - 1)) this.isPlain = false;
  }

  textOrNull(value: string | null, min: number, max: number): void {
    if (value === null) this.put(NULL);
    else this.text(value, min, max);
  }

  /** A string of `min` to `max` characters out of a set. */
  word(value: unknown, set: Uint8Array, min: number, max: number): void {
    if (typeof value !== 'string' || value.length < min || value.length > max) {
      this.isPlain = false;
      return;
    }
    this.quoted(value, set);
  }

  /** One of these words, each with its quotes. */
  oneOf(value: unknown, words: ReadonlyMap<unknown, Uint8Array>): void {
    const word = words.get(value);
    if (word === undefined) this.isPlain = false;
    else this.put(word);
  }

  private fieldName(value: unknown, max: number): void {
    this.text(value, 1, max);
    if (typeof value !== 'string' || FIELD_FIRST[value.charCodeAt(0)] !== 1) this.isPlain = false;
    else if (!isAllOf(value, FIELD)) this.isPlain = false;
  }

  /** A list of texts, or of names of fields. */
  texts(values: readonly string[], max: number, itemsMax: number, isOfFields = false): void {
    if (!Array.isArray(values) || values.length > itemsMax) {
      this.isPlain = false;
      return;
    }
    this.byte(OPEN_LIST);
    for (let index = 0; index < values.length; index++) {
      if (index > 0) this.byte(COMMA);
      if (isOfFields) this.fieldName(values[index], max);
      else this.text(values[index], 1, max);
    }
    this.byte(CLOSE_LIST);
  }

  /** Any object of JSON values; `depth` is its level in the event. */
  object(object: { readonly [name: string]: Json }, depth: number): void {
    const prototype: unknown = Object.getPrototypeOf(object);
    if (depth > EVENT_DEPTH_MAX || (prototype !== Object.prototype && prototype !== null)) {
      this.isPlain = false;
      return;
    }
    this.byte(OPEN_OBJECT);
    let isFirst = true;
    for (const name of Object.keys(object).sort()) {
      const value = object[name];
      if (value === undefined) continue;
      if (!isFirst) this.byte(COMMA);
      isFirst = false;
      if (!this.isPlainName(name)) this.isPlain = false;
      this.text(name, 1, Infinity);
      this.byte(COLON);
      this.value(value, depth + 1);
    }
    this.byte(CLOSE_OBJECT);
  }

  private quoted(value: string, set: Uint8Array): void {
    const { bytes, at } = this;
    const { length } = value;
    bytes[at] = QUOTE;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      // Beyond the set's end it is undefined.
      if (set[code] !== 1) this.isPlain = false;
      bytes[at + 1 + index] = code;
    }
    bytes[at + 1 + length] = QUOTE;
    this.at = at + length + 2;
  }

  private byte(code: number): void {
    this.bytes[this.at++] = code;
  }

  private value(value: Json, depth: number): void {
    if (typeof value === 'string') this.text(value, 0, Infinity);
    else if (typeof value === 'number') this.number(value);
    else if (typeof value === 'boolean') this.put(value ? TRUE : FALSE);
    else if (value === null) this.put(NULL);
    else if (typeof value !== 'object') this.isPlain = false;
    else if (isList(value)) this.list(value, depth);
    else this.object(value, depth);
  }

  private list(values: readonly Json[], depth: number): void {
    if (depth > EVENT_DEPTH_MAX) {
      this.isPlain = false;
      return;
    }
    this.byte(OPEN_LIST);
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      if (index > 0) this.byte(COMMA);
      // A hole or undefined: what to say of it is not decided here.
      if (value === undefined) this.isPlain = false;
      else this.value(value, depth + 1);
    }
    this.byte(CLOSE_LIST);
  }

  /** ECMAScript's own form is the canonical one; NaN is beyond no limit, and fails both. */
  private number(value: number): void {
    if (!(value < CARD_NUMBER_MIN && value > -CARD_NUMBER_MIN)) {
      this.isPlain = false;
      return;
    }
    // Minus zero is written 0 as well.
    const written = String(value === 0 ? 0 : value);
    for (let index = 0; index < written.length; index++) this.byte(written.charCodeAt(index));
  }
}

function isAllOf(text: string, set: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) {
    if (set[text.charCodeAt(index)] !== 1) return false;
  }
  return true;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
