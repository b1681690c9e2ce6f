/**
 * The fixed parts of a plain event: the texts between its values, in the order of RFC 8785, and the
 * characters that its words are made of.
 */

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const DOT = 0x2e;
export const COLON = 0x3a;
export const OPEN_LIST = 0x5b;
export const CLOSE_LIST = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;

/** 1 for each of the characters, by code. */
function setOf(characters: string): Uint8Array {
  const set = new Uint8Array(256);
  for (const character of characters) set[character.charCodeAt(0)] = 1;
  return set;
}

const DIGITS = '0123456789';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
export const ASCII: Uint8Array = new Uint8Array(128).fill(1);
export const DIGIT: Uint8Array = setOf(DIGITS);
export const NUMBER: Uint8Array = setOf(`${DIGITS}+-.eE`);
export const HEX: Uint8Array = setOf(`${DIGITS}abcdef`);
export const ULID: Uint8Array = setOf(`${DIGITS}ABCDEFGHJKMNPQRSTVWXYZ`);
export const PUNCTUATION: Uint8Array = setOf('._-');
export const NAME: Uint8Array = setOf(`${DIGITS}${LETTERS}._-`);
export const IP: Uint8Array = setOf(`${DIGITS}abcdefABCDEF:.`);
/** The first character of a field's name, and all of it (field-name.ts), as nearly all are written. */
export const FIELD_FIRST: Uint8Array = setOf(LETTERS);
export const FIELD: Uint8Array = setOf(`${DIGITS}${LETTERS}_$@.:/#*[]-`);
export const TIME: Uint8Array = setOf(`${DIGITS}-:.TZ`);

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
export const TRUE: Uint8Array = bytesOf('true');
export const FALSE: Uint8Array = bytesOf('false');
export const NULL: Uint8Array = bytesOf('null');
/** Words that a field may have, each with its quotes. */
const quoted = (...words: readonly string[]): ReadonlyMap<string, Uint8Array> =>
  new Map(words.map((word) => [word, bytesOf(`"${word}"`)]));
export const ACTOR_TYPES: ReadonlyMap<string, Uint8Array> = quoted(
  ...['user', 'service', 'admin', 'system', 'api_key', 'anonymous'],
);
export const OUTCOMES: ReadonlyMap<string, Uint8Array> = quoted('success', 'failure', 'denied');

/** The fixed text of an event, in the order of RFC 8785. */
export const ACTOR_ID: Uint8Array = bytesOf('{"actor":{"id":');
export const COMMA_NAME: Uint8Array = bytesOf(',"name":');
export const ON_BEHALF_OF: Uint8Array = bytesOf(',"on_behalf_of":');
export const OPEN_ID: Uint8Array = bytesOf('{"id":');
export const ROLES: Uint8Array = bytesOf(',"roles":');
export const SESSION_ID: Uint8Array = bytesOf(',"session_id":');
export const COMMA_TYPE: Uint8Array = bytesOf(',"type":');
export const CHANGES: Uint8Array = bytesOf(',"changes":');
export const REQUEST_ID: Uint8Array = bytesOf(',"correlation":{"request_id":');
export const SPAN_ID: Uint8Array = bytesOf(',"span_id":');
export const TRACE_ID: Uint8Array = bytesOf(',"trace_id":');
export const WORKFLOW_ID: Uint8Array = bytesOf(',"workflow_id":');
export const ACTION: Uint8Array = bytesOf('},"event":{"action":');
export const CATEGORY: Uint8Array = bytesOf(',"category":');
export const OUTCOME: Uint8Array = bytesOf(',"outcome":');
export const COMMA_TIME: Uint8Array = bytesOf(',"time":');
export const EVENT_ID: Uint8Array = bytesOf('},"event_id":');
export const METADATA: Uint8Array = bytesOf(',"metadata":');
export const RESOURCE_ID: Uint8Array = bytesOf(',"resource":{"id":');
export const TENANT_ID: Uint8Array = bytesOf(',"tenant_id":');
export const SOURCE_IP: Uint8Array = bytesOf('},"schema_version":"1.0","source":{"ip":');
export const SERVICE: Uint8Array = bytesOf(',"service":');
export const SERVICE_VERSION: Uint8Array = bytesOf(',"service_version":');
export const USER_AGENT: Uint8Array = bytesOf(',"user_agent":');
export const CLOSE: Uint8Array = bytesOf('}');
export const END: Uint8Array = bytesOf('}}');

/** Level of metadata in an event. */
export const METADATA_DEPTH = 2;
export const IPV4: RegExp = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
