/**
 * Plain events, read from their bytes without building a value. An event is plain when its text is the
 * RFC 8785 form of a whole event (event.schema.json) in which redaction would change nothing. That is
 * what the SDK sends nearly always, and reading it costs a fraction of parsing, checking, redacting and
 * serializing it. What is not plain goes that longer way, which also finds the reason of a refusal: to
 * doubt is always right here, and to accept wrongly never is. Pure.
 */
import type { CanonicalEvent } from '../schemas/canonical-event.ts';
import { isEventTime } from '../schemas/event-check.ts';
import { EVENT_DEPTH_MAX } from '../schemas/json-check.ts';
import type { KeyClass } from './keys.ts';
import type { Suspicion } from './suspicion.ts';

/** What admission decides by. */
export interface PlainEvent extends CanonicalEvent {
  readonly event_id: string;
  readonly tenant: string;
  /** The form of these two is not checked: they have to stand in the vocabulary anyway. */
  readonly action: string;
  readonly category: string;
  /** Strings in the event, names of members included: half of its quotes. */
  readonly strings: number;
}

/** Reads the event in bytes [start, end); null unless it is plain. A newline MUST stand at `end`. */
export type ReadPlainEvent = (bytes: Buffer, start: number, end: number) => PlainEvent | null;

export interface PlainEventRules {
  readonly classifyKey: (name: string) => KeyClass;
  readonly suspicion: Suspicion;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** 1 for each of the characters, by code. */
function setOf(characters: string): Uint8Array {
  const set = new Uint8Array(256);
  for (const character of characters) set[character.charCodeAt(0)] = 1;
  return set;
}

const DIGITS = '0123456789';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const DIGIT = setOf(DIGITS);
const NUMBER = setOf(`${DIGITS}+-.eE`);
const HEX = setOf(`${DIGITS}abcdef`);
const ULID = setOf(`${DIGITS}ABCDEFGHJKMNPQRSTVWXYZ`);
const PUNCTUATION = setOf('._-');
const NAME = setOf(`${DIGITS}${LETTERS}._-`);
const IP = setOf(`${DIGITS}abcdefABCDEF:.`);
const TIME = setOf(`${DIGITS}-:.TZ`);

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const TRUE = bytesOf('true');
const FALSE = bytesOf('false');
const NULL = bytesOf('null');
const ACTOR_TYPES = ['user', 'service', 'admin', 'system', 'api_key', 'anonymous'].map(quoted);
const OUTCOMES = ['success', 'failure', 'denied'].map(quoted);

function quoted(word: string): Uint8Array {
  return bytesOf(`"${word}"`);
}

/** The fixed text of an event, in the order of RFC 8785. */
const ACTOR_ID = bytesOf('{"actor":{"id":');
const COMMA_NAME = bytesOf(',"name":');
const ON_BEHALF_OF = bytesOf(',"on_behalf_of":');
const OPEN_ID = bytesOf('{"id":');
const ROLES = bytesOf(',"roles":');
const SESSION_ID = bytesOf(',"session_id":');
const COMMA_TYPE = bytesOf(',"type":');
const CHANGES = bytesOf(',"changes":');
const REQUEST_ID = bytesOf(',"correlation":{"request_id":');
const SPAN_ID = bytesOf(',"span_id":');
const TRACE_ID = bytesOf(',"trace_id":');
const WORKFLOW_ID = bytesOf(',"workflow_id":');
const ACTION = bytesOf('},"event":{"action":');
const CATEGORY = bytesOf(',"category":');
const OUTCOME = bytesOf(',"outcome":');
const COMMA_TIME = bytesOf(',"time":');
const EVENT_ID = bytesOf('},"event_id":');
const METADATA = bytesOf(',"metadata":');
const RESOURCE_ID = bytesOf(',"resource":{"id":');
const TENANT_ID = bytesOf(',"tenant_id":');
const SOURCE_IP = bytesOf('},"schema_version":"1.0","source":{"ip":');
const SERVICE = bytesOf(',"service":');
const SERVICE_VERSION = bytesOf(',"service_version":');
const USER_AGENT = bytesOf(',"user_agent":');
const END = bytesOf('}}');
/** Names of members that every event has, and the version. */
const FIXED_STRINGS = 26;

/** Level of metadata in an event. */
const METADATA_DEPTH = 2;
/** From here on redaction takes a number for that of a card. */
const NUMBER_LIMIT = 1e12;
/** With so many digits it is an integer below that, and written in the one way there is. */
const SMALL_DIGITS_MAX = 12;
const IPV4 = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
const NAMES_KEPT_MAX = 4096;

/** Creates a reader. */
export function createPlainEventReader(rules: PlainEventRules): ReadPlainEvent {
  const { classifyKey } = rules;
  const { isSuspicious, endOfCleanText } = rules.suspicion;
  const plainNames = new Set<string>();
  let bytes: Buffer = Buffer.alloc(0);
  let at = 0;
  let strings = 0;
  let lastTime = '';

  /** Moves over exactly this text, or stays. */
  function skip(text: Uint8Array): boolean {
    const [from, start, { length }] = [bytes, at, text];
    for (let index = 0; index < length; index++) {
      if (from[start + index] !== text[index]) return false;
    }
    at = start + length;
    return true;
  }

  /** The string that ends here and began there. */
  function stringFrom(start: number): string {
    return bytes.toString('latin1', start + 1, at - 1);
  }

  /** A string of `min` to `max` characters in which redaction finds nothing. */
  function readText(min: number, max: number, keepEmails = false): boolean {
    if (bytes[at] !== QUOTE) return false;
    // For one that is not clean -1: shorter than any text.
    const end = endOfCleanText(bytes, at + 1, keepEmails);
    const length = end - at - 1;
    if (length < min || length > max) return false;
    at = end + 1;
    strings++;
    return true;
  }

  function readTextOrNull(min: number, max: number): boolean {
    return bytes[at] === QUOTE ? readText(min, max) : skip(NULL);
  }

  /** A string of `min` to `max` characters out of a set. */
  function readWord(set: Uint8Array, min: number, max: number): boolean {
    const [from, start] = [bytes, at + 1];
    if (from[start - 1] !== QUOTE) return false;
    let end = start;
    while (set[from[end] ?? 0] === 1) end++;
    const length = end - start;
    if (length < min || length > max || from[end] !== QUOTE) return false;
    at = end + 1;
    strings++;
    return true;
  }

  function readOneOf(words: readonly Uint8Array[]): boolean {
    for (const word of words) {
      if (skip(word)) {
        strings++;
        return true;
      }
    }
    return false;
  }

  function readTexts(max: number, itemsMax: number): boolean {
    if (bytes[at] !== OPEN_LIST) return false;
    at++;
    if (bytes[at] === CLOSE_LIST) {
      at++;
      return true;
    }
    for (let items = 1; items <= itemsMax; items++) {
      if (!readText(1, max)) return false;
      const next = bytes[at++];
      if (next === CLOSE_LIST) return true;
      if (next !== COMMA) return false;
    }
    return false;
  }

  function readPrincipal(): boolean {
    if (bytes[at] !== OPEN_OBJECT) return skip(NULL);
    if (!skip(OPEN_ID) || !readText(1, 512, true)) return false;
    if (!skip(COMMA_NAME) || !readText(1, 512, true)) return false;
    if (!skip(COMMA_TYPE) || !readOneOf(ACTOR_TYPES) || bytes[at] !== CLOSE_OBJECT) return false;
    at++;
    strings += 3;
    return true;
  }

  /** A dotted quad is no card, however many digits; what else has the form of an address is text. */
  function readIp(): boolean {
    if (bytes[at] !== QUOTE) return skip(NULL);
    const start = at;
    if (!readWord(IP, 2, 45)) return false;
    if (IPV4.test(stringFrom(start))) return true;
    at = start;
    strings--;
    return readText(2, 45, true);
  }

  /** Events that come together tend to have the time in common. */
  function readTime(): boolean {
    const start = at;
    if (!readWord(TIME, 24, 24)) return false;
    const time = stringFrom(start);
    if (time !== lastTime) {
      if (!isEventTime(time)) return false;
      lastTime = time;
    }
    return true;
  }

  function isPlainName(name: string): boolean {
    if (plainNames.has(name)) return true;
    const nameClass = classifyKey(name);
    if (nameClass !== 'none' && nameClass !== 'free_text') return false;
    if (name === '__proto__' || isSuspicious(name, false)) return false;
    if (plainNames.size >= NAMES_KEPT_MAX) plainNames.clear();
    plainNames.add(name);
    return true;
  }

  function readValue(depth: number): boolean {
    const first = bytes[at];
    if (first === QUOTE) return readText(0, Infinity);
    if (first === OPEN_OBJECT) return readObject(depth);
    if (first === OPEN_LIST) return readList(depth);
    return skip(TRUE) || skip(FALSE) || skip(NULL) || readNumber();
  }

  function readObject(depth: number): boolean {
    if (bytes[at] !== OPEN_OBJECT || depth > EVENT_DEPTH_MAX) return false;
    at++;
    if (bytes[at] === CLOSE_OBJECT) {
      at++;
      return true;
    }
    // Names rise, and so none stands there twice. An empty one is left to the longer way.
    let previous = '';
    for (;;) {
      const start = at;
      if (!readText(1, Infinity)) return false;
      const name = stringFrom(start);
      if (name <= previous || !isPlainName(name) || bytes[at] !== COLON) return false;
      previous = name;
      at++;
      if (!readValue(depth + 1)) return false;
      const next = bytes[at++];
      if (next === CLOSE_OBJECT) return true;
      if (next !== COMMA) return false;
    }
  }

  function readList(depth: number): boolean {
    if (depth > EVENT_DEPTH_MAX) return false;
    at++;
    if (bytes[at] === CLOSE_LIST) {
      at++;
      return true;
    }
    for (;;) {
      if (!readValue(depth + 1)) return false;
      const next = bytes[at++];
      if (next === CLOSE_LIST) return true;
      if (next !== COMMA) return false;
    }
  }

  /** ECMAScript's own form of a number is the canonical one. */
  function readNumber(): boolean {
    const start = at;
    while (DIGIT[bytes[at] ?? 0] === 1) at++;
    const digits = at - start;
    if (NUMBER[bytes[at] ?? 0] === 0) {
      return digits === 1 || (digits > 1 && digits <= SMALL_DIGITS_MAX && bytes[start] !== 0x30);
    }
    while (NUMBER[bytes[at] ?? 0] === 1) at++;
    const written = bytes.toString('latin1', start, at);
    const value = Number(written);
    return String(value) === written && value < NUMBER_LIMIT && value > -NUMBER_LIMIT;
  }

  return (from, start, end) => {
    bytes = from;
    at = start;
    strings = FIXED_STRINGS;
    if (!skip(ACTOR_ID) || !readText(1, 512, true)) return null;
    if (!skip(COMMA_NAME) || !readText(1, 512, true)) return null;
    if (!skip(ON_BEHALF_OF) || !readPrincipal()) return null;
    if (skip(ROLES)) {
      strings++;
      if (!readTexts(128, 64)) return null;
    }
    if (skip(SESSION_ID)) {
      strings++;
      if (!readText(1, 512)) return null;
    }
    if (!skip(COMMA_TYPE) || !readOneOf(ACTOR_TYPES) || bytes[at] !== CLOSE_OBJECT) return null;
    const chainAt = ++at;
    if (skip(CHANGES)) {
      strings++;
      if (!readTexts(256, 1024)) return null;
    }
    if (!skip(REQUEST_ID) || !readTextOrNull(1, 256)) return null;
    if (skip(SPAN_ID)) {
      strings++;
      if (!readWord(HEX, 16, 16)) return null;
    }
    if (!skip(TRACE_ID)) return null;
    if (bytes[at] === QUOTE ? !readWord(HEX, 32, 32) : !skip(NULL)) return null;
    if (skip(WORKFLOW_ID)) {
      strings++;
      if (!readText(1, 256)) return null;
    }
    if (!skip(ACTION)) return null;
    const actionAt = at;
    if (!readWord(NAME, 1, 128)) return null;
    const action = stringFrom(actionAt);
    if (!skip(CATEGORY)) return null;
    const categoryAt = at;
    if (!readWord(NAME, 1, 64)) return null;
    const category = stringFrom(categoryAt);
    if (!skip(OUTCOME) || !readOneOf(OUTCOMES)) return null;
    if (!skip(COMMA_TIME) || !readTime()) return null;
    if (!skip(EVENT_ID)) return null;
    const eventIdAt = at;
    if (!readWord(ULID, 26, 26)) return null;
    const event_id = stringFrom(eventIdAt);
    if (event_id > '8' || !skip(METADATA) || !readObject(METADATA_DEPTH)) return null;
    if (!skip(RESOURCE_ID) || !readText(1, 1024, true)) return null;
    if (skip(COMMA_NAME)) {
      strings++;
      if (!readText(1, 1024, true)) return null;
    }
    if (!skip(TENANT_ID)) return null;
    const tenantAt = at;
    if (!readWord(NAME, 1, 128)) return null;
    const tenant = stringFrom(tenantAt);
    if (PUNCTUATION[bytes[tenantAt + 1] ?? 0] === 1) return null;
    if (!skip(COMMA_TYPE) || !readText(1, 128, true)) return null;
    if (!skip(SOURCE_IP) || !readIp()) return null;
    if (!skip(SERVICE) || !readText(1, 256)) return null;
    if (!skip(SERVICE_VERSION) || !readTextOrNull(0, 128)) return null;
    if (!skip(USER_AGENT) || !readTextOrNull(0, 2048)) return null;
    if (!skip(END) || at !== end) return null;
    return { bytes, start, end, chainAt, event_id, action, category, tenant, strings };
  };
}
