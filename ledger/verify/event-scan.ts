/**
 * The scan of an event: one pass over its bytes that tells whether they are canonical (RFC 8785) and where the
 * event says it stands, without building a value. It never takes for canonical what is not; what it does not
 * recognise, such as a name that is not ASCII, it answers with false, and that event is looked at the long way
 * (`isCanonical`). Pure.
 */
import { isUtf8 } from 'node:buffer';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LOWER_U = 0x75;

/** Bytes of a string that stand for themselves in ASCII. */
const PLAIN = byteSet(
  (byte) => byte >= 0x20 && byte < 0x80 && byte !== QUOTE && byte !== BACKSLASH,
);
const DIGIT = byteSet((byte) => byte >= ZERO && byte <= 0x39);
/** What a number may hold beside digits. */
const NUMBER = byteSet((byte) => DIGIT[byte] === 1 || '+-.eE'.includes(String.fromCharCode(byte)));
/** The letters of the escapes of two characters: those for which RFC 8785 has no other way. */
const SHORT_ESCAPE = byteSet((byte) => '"\\bfnrt'.includes(String.fromCharCode(byte)));
/** Control characters without a short escape: the last four bytes of \u00xx. */
const LONG_ESCAPE = /^00(?:0[0-7be-f]|1[0-9a-f])$/;

const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

/** With so many digits an integer is below 2^53 and written in the one way there is. */
const SAFE_DIGITS = 15;
/** Deeper than any event may be: left to the long way. */
const DEPTH_MAX = 64;

/** Which object of a sealed event is being read; those that are not named here are OTHER. */
const ROOT = 0;
const CHAIN = 1;
const PRODUCER = 2;
const EVENT = 3;
const OTHER = 4;

const NAMES = Object.fromEntries(
  ['chain', 'event', 'producer', 'stream', 'seq', 'id', 'refused', 'action'].map((name) => [
    name,
    Buffer.from(name),
  ]),
) as Readonly<
  Record<'chain' | 'event' | 'producer' | 'stream' | 'seq' | 'id' | 'refused' | 'action', Buffer>
>;

const ABSENT = -1;

/** A class, since it is made once and used for each record. Texts are given by their places in `bytes`. */
export class EventScan {
  streamFrom: number = ABSENT;
  streamTo: number = ABSENT;
  seq: number = ABSENT;
  producerFrom: number = ABSENT;
  producerTo: number = ABSENT;
  producerSeq: number = ABSENT;
  refused: number = 0;
  actionFrom: number = ABSENT;
  actionTo: number = ABSENT;

  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;
  private end = 0;
  /** Where the text that was read last begins; it ends before the quote at `at - 1`. */
  private textFrom = 0;
  private isEscaped = false;
  private isTextAscii = true;
  /** Whether all of the event is. */
  private isAscii = true;
  /** The number that was read last; ABSENT: none that says where a record stands. */
  private number = ABSENT;

  /** Whether bytes [from, to) are a canonical object that says where it stands, as surely as can be told here. */
  scan(bytes: Buffer, from: number, to: number): boolean {
    this.bytes = bytes;
    this.at = from;
    this.end = to;
    this.isAscii = true;
    this.streamFrom = this.seq = this.producerFrom = this.producerSeq = this.actionFrom = ABSENT;
    this.actionTo = ABSENT;
    this.refused = 0;
    if (bytes[from] !== OPEN_OBJECT || !this.readObject(ROOT, 1) || this.at !== to) return false;
    if (this.streamFrom === ABSENT || this.producerFrom === ABSENT) return false;
    if (this.seq === ABSENT || this.producerSeq === ABSENT || this.refused === ABSENT) return false;
    return this.isAscii || isUtf8(bytes.subarray(from, to));
  }

  private readObject(object: number, depth: number): boolean {
    const { bytes } = this;
    this.at += 1;
    if (bytes[this.at] === CLOSE_OBJECT) {
      this.at += 1;
      return true;
    }
    if (depth > DEPTH_MAX) return false;
    // Names rise, and so none stands there twice. In ASCII the order of bytes is that of UTF-16.
    let beforeFrom = 0;
    let beforeTo = 0;
    for (;;) {
      if (!this.readText() || this.isEscaped || !this.isTextAscii) return false;
      const from = this.textFrom;
      const to = this.at - 1;
      if (beforeFrom > 0 && !this.isRising(beforeFrom, beforeTo, from, to)) return false;
      beforeFrom = from;
      beforeTo = to;
      if (bytes[this.at] !== COLON) return false;
      this.at += 1;
      if (object === OTHER ? !this.readValue(depth) : !this.readMember(object, from, to, depth))
        return false;
      const next = bytes[this.at];
      this.at += 1;
      if (next === CLOSE_OBJECT) return true;
      if (next !== COMMA) return false;
    }
  }

  /** The value of a member in one of the objects that say where the record stands. */
  private readMember(object: number, from: number, to: number, depth: number): boolean {
    const isObject = this.bytes[this.at] === OPEN_OBJECT;
    if (object === ROOT) {
      const inner = this.isName(NAMES.chain, from, to)
        ? CHAIN
        : this.isName(NAMES.event, from, to)
          ? EVENT
          : OTHER;
      return isObject ? this.readObject(inner, depth + 1) : this.readValue(depth);
    }
    if (object === CHAIN && isObject)
      return this.readObject(this.isName(NAMES.producer, from, to) ? PRODUCER : OTHER, depth + 1);
    const isText = this.bytes[this.at] === QUOTE;
    this.number = ABSENT;
    if (!this.readValue(depth)) return false;
    if (isText) this.noteText(object, from, to);
    else this.noteNumber(object, from, to);
    return true;
  }

  private noteText(object: number, from: number, to: number): void {
    if (object === CHAIN && this.isName(NAMES.stream, from, to) && !this.isEscaped) {
      this.streamFrom = this.textFrom;
      this.streamTo = this.at - 1;
    } else if (object === EVENT && this.isName(NAMES.action, from, to)) {
      this.actionFrom = this.textFrom;
      this.actionTo = this.at - 1;
    } else if (object === PRODUCER) {
      if (this.isName(NAMES.refused, from, to)) this.refused = ABSENT;
      if (!this.isName(NAMES.id, from, to) || this.isEscaped) return;
      this.producerFrom = this.textFrom;
      this.producerTo = this.at - 1;
    }
  }

  private noteNumber(object: number, from: number, to: number): void {
    if (object === CHAIN && this.isName(NAMES.seq, from, to)) this.seq = this.number;
    if (object !== PRODUCER) return;
    if (this.isName(NAMES.seq, from, to)) this.producerSeq = this.number;
    if (this.isName(NAMES.refused, from, to)) this.refused = this.number;
  }

  private readValue(depth: number): boolean {
    const first = this.bytes[this.at];
    if (first === QUOTE) return this.readText();
    if (first === OPEN_OBJECT) return this.readObject(OTHER, depth + 1);
    if (first === OPEN_LIST) return this.readList(depth + 1);
    return this.readNumber() || this.skip(NULL) || this.skip(TRUE) || this.skip(FALSE);
  }

  private readList(depth: number): boolean {
    const { bytes } = this;
    this.at += 1;
    if (bytes[this.at] === CLOSE_LIST) {
      this.at += 1;
      return true;
    }
    if (depth > DEPTH_MAX) return false;
    for (;;) {
      if (!this.readValue(depth)) return false;
      const next = bytes[this.at];
      this.at += 1;
      if (next === CLOSE_LIST) return true;
      if (next !== COMMA) return false;
    }
  }

  private readText(): boolean {
    const { bytes, end } = this;
    let { at } = this;
    if (bytes[at] !== QUOTE) return false;
    at += 1;
    this.textFrom = at;
    this.isEscaped = false;
    this.isTextAscii = true;
    for (;;) {
      while (PLAIN[bytes[at] ?? 0] === 1) at += 1;
      const byte = bytes[at] ?? 0;
      if (at >= end) return false;
      if (byte === QUOTE) break;
      if (byte >= 0x80) {
        this.isTextAscii = this.isAscii = false;
        at += 1;
        continue;
      }
      if (byte !== BACKSLASH) return false;
      this.isEscaped = true;
      const letter = bytes[at + 1] ?? 0;
      if (SHORT_ESCAPE[letter] === 1) at += 2;
      else if (letter === LOWER_U && LONG_ESCAPE.test(bytes.toString('latin1', at + 2, at + 6)))
        at += 6;
      else return false;
    }
    this.at = at + 1;
    return true;
  }

  /** ECMAScript's own form of a number is the canonical one. */
  private readNumber(): boolean {
    const { bytes, at: start } = this;
    let at = start;
    if (bytes[at] === MINUS) at += 1;
    const digitsFrom = at;
    let value = 0;
    while (DIGIT[bytes[at] ?? 0] === 1) value = value * 10 + (bytes[at++] ?? 0) - ZERO;
    const digits = at - digitsFrom;
    if (digits === 0) return false;
    if (NUMBER[bytes[at] ?? 0] === 0 && digits <= SAFE_DIGITS) {
      if (bytes[digitsFrom] === ZERO && (digits > 1 || digitsFrom > start)) return false;
      this.number = digitsFrom > start ? ABSENT : value;
      this.at = at;
      return true;
    }
    while (NUMBER[bytes[at] ?? 0] === 1) at += 1;
    const written = bytes.toString('latin1', start, at);
    if (String(Number(written)) !== written) return false;
    this.number = ABSENT;
    this.at = at;
    return true;
  }

  private skip(word: Buffer): boolean {
    if (!this.isName(word, this.at, this.at + word.length)) return false;
    this.at += word.length;
    return true;
  }

  private isName(name: Buffer, from: number, to: number): boolean {
    const { length } = name;
    if (to - from !== length) return false;
    for (let index = 0; index < length; index++)
      if (this.bytes[from + index] !== name[index]) return false;
    return true;
  }

  private isRising(beforeFrom: number, beforeTo: number, from: number, to: number): boolean {
    const { bytes } = this;
    const before = beforeTo - beforeFrom;
    const length = Math.min(before, to - from);
    for (let index = 0; index < length; index++) {
      const one = bytes[beforeFrom + index] ?? 0;
      const other = bytes[from + index] ?? 0;
      if (one !== other) return one < other;
    }
    return before < to - from;
  }
}

function byteSet(has: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (has(byte) ? 1 : 0));
}
