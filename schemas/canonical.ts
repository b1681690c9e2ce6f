/**
 * RFC 8785 (JCS): the one serialization of a JSON value that is hashed. Pure.
 * It lives in schemas/ because the SDK sends this form and the ledger hashes it. ECMAScript's own
 * number and string serialization is what section 3.2.2 prescribes; what is left to do is to sort
 * members by UTF-16 code units and to refuse what has no canonical form.
 */
import type { Json } from './event.ts';

/** Anything that has to be escaped, or checked for a lone surrogate. */
const SPECIAL = /["\\\u0000-\u001f\ud800-\udfff]/;

/**
 * Returns the RFC 8785 text of a JSON value.
 * @throws TypeError for what is no JSON: undefined, NaN, an infinity, a lone surrogate, a bigint.
 */
export function canonicalize(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a number without a canonical form');
    return value === 0 ? '0' : String(value);
  }
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value !== 'object') throw new TypeError(`${typeof value} has no canonical form`);
  if (value === null) return 'null';
  return Array.isArray(value) ? canonicalArray(value) : canonicalObject(value);
}

function canonicalArray(values: readonly unknown[]): string {
  let text = '[';
  for (let index = 0; index < values.length; index++) {
    text += index === 0 ? canonicalize(values[index]) : ',' + canonicalize(values[index]);
  }
  return text + ']';
}

function canonicalObject(object: object): string {
  const names = Object.keys(object);
  if (!isSorted(names)) names.sort();
  let text = '{';
  let separator = '';
  for (const name of names) {
    const member: unknown = (object as Readonly<Record<string, unknown>>)[name];
    // Like JSON.stringify: an optional member that is not there.
    if (member === undefined) continue;
    text += separator + quote(name) + ':' + canonicalize(member);
    separator = ',';
  }
  return text + '}';
}

/** What comes from canonical text is sorted already; the check is cheaper than the sort. */
function isSorted(names: readonly string[]): boolean {
  let previous = '';
  for (const name of names) {
    if (name < previous) return false;
    previous = name;
  }
  return true;
}

function quote(text: string): string {
  if (!SPECIAL.test(text)) return '"' + text + '"';
  if (!text.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form');
  return JSON.stringify(text);
}

/** Parses JSON text into values that TypeScript knows to be JSON. */
export function parseJson(text: string): Json {
  return JSON.parse(text) as Json;
}
