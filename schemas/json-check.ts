/**
 * What JSON.parse lets through and an audit log must not: duplicate keys (the last one silently
 * wins), `__proto__`, integers that lost digits, lone surrogates, U+0000 (PostgreSQL's jsonb has
 * none), and nesting without end. Pure; used by the SDK and by the agent.
 */
import { refusal, type Refusal } from './refusal.ts';

/** Deepest nesting of an event, the event itself being level 1. */
export const EVENT_DEPTH_MAX = 16;

/** Words as programmers write them. Any other member name may be content, even a secret. */
const PLAIN_NAME = /^[a-z]+(?:[_-][a-z]+)*$|^[a-z]+(?:[A-Z][a-z]+)*$/;
const PLAIN_NAME_LENGTH_MAX = 40;

function isPlainName(name: string): boolean {
  return name.length <= PLAIN_NAME_LENGTH_MAX && PLAIN_NAME.test(name);
}

/** JSON pointer of a member, for refusals: a name that is not plainly a word is shown as `*`. */
export function pointTo(parent: string, name: string): string {
  return `${parent}/${isPlainName(name) ? name : '*'}`;
}

/** Reports the first value that is unsafe, or null. `depth` is the level of `value` itself. */
export function checkJson(value: unknown, field: string, depth: number): Refusal | null {
  // Nearly every value is safe, and naming the place of each member costs more than judging it.
  return isSafe(value, depth) ? null : findUnsafe(value, field, depth);
}

/** U+0000, and whatever may be half of a surrogate pair. */
const SUSPECT = /[\u0000\ud800-\udfff]/;

function isSafe(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return isSafeString(value);
  if (typeof value === 'number') return checkNumber(value, '') === null;
  if (typeof value !== 'object') return typeof value === 'boolean';
  if (value === null) return true;
  if (depth > EVENT_DEPTH_MAX) return false;
  if (Array.isArray(value)) {
    // A hole counts as undefined, which `every` would pass over.
    for (const item of value as readonly unknown[]) if (!isSafe(item, depth + 1)) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const name of Object.keys(value)) {
    if (name === '__proto__' || !isSafeString(name)) return false;
    const member = (value as Readonly<Record<string, unknown>>)[name];
    if (member !== undefined && !isSafe(member, depth + 1)) return false;
  }
  return true;
}

function isSafeString(text: string): boolean {
  return !SUSPECT.test(text) || checkString(text, '') === null;
}

function findUnsafe(value: unknown, field: string, depth: number): Refusal | null {
  if (typeof value === 'string') return checkString(value, field);
  if (typeof value === 'number') return checkNumber(value, field);
  if (typeof value === 'boolean' || value === null) return null;
  if (typeof value !== 'object') {
    return refusal('unsafe_json', `${field} holds a ${typeof value}, which JSON has not`, field);
  }
  if (depth > EVENT_DEPTH_MAX) {
    return refusal(
      'unsafe_json',
      `${field} is nested deeper than ${EVENT_DEPTH_MAX} levels; flatten it`,
      field,
    );
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const found = findUnsafe(value[index], `${field}/${index}`, depth + 1);
      if (found !== null) return found;
    }
    return null;
  }
  return checkObject(value, field, depth);
}

function checkObject(value: object, field: string, depth: number): Refusal | null {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return refusal(
      'unsafe_json',
      `${field} is not a plain object; convert it to JSON values first`,
      field,
    );
  }
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__') {
      return refusal('forbidden_key', `${field} has a member named __proto__; rename it`, field);
    }
    if (member === undefined) continue;
    const found = checkString(name, field) ?? findUnsafe(member, pointTo(field, name), depth + 1);
    if (found !== null) return found;
  }
  return null;
}

function checkNumber(value: number, field: string): Refusal | null {
  if (!Number.isFinite(value)) {
    return refusal('unsafe_json', `${field} is not a finite number; send it as a string`, field);
  }
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return refusal(
      'unsafe_json',
      `${field} is an integer beyond 2^53-1; send it as a string`,
      field,
    );
  }
  return null;
}

function checkString(value: string, field: string): Refusal | null {
  if (value.includes('\u0000')) {
    return refusal('unsafe_json', `${field} contains U+0000; remove it`, field);
  }
  if (!value.isWellFormed()) {
    return refusal(
      'unsafe_json',
      `${field} contains a lone surrogate; send well-formed Unicode`,
      field,
    );
  }
  return null;
}

/** Reports a member name that occurs twice in one object of valid JSON text, or null. */
export function checkDuplicateKeys(text: string): Refusal | null {
  const name = findDuplicateKey(text);
  if (name === null) return null;
  const shown = isPlainName(name) ? ` ("${name}")` : '';
  return refusal('duplicate_key', `a member name${shown} occurs twice in one object; send it once`);
}

/**
 * Finds a member name that occurs twice in one object of valid JSON text; null when none does.
 * Names are compared after unescaping, so `"a"` and `"\u0061"` are the same name.
 */
export function findDuplicateKey(text: string): string | null {
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = endOfString(text, at);
      const names = open.at(-1);
      if (names && isMemberName(text, end)) {
        const name = String(JSON.parse(text.slice(at, end)));
        if (names.has(name)) return name;
        names.add(name);
      }
      at = end - 1;
    }
  }
  return null;
}

/** Index just past the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** Whether the string that ends before `at` is followed by a colon. */
function isMemberName(text: string, at: number): boolean {
  while (at < text.length && /\s/.test(text[at] ?? '')) at++;
  return text[at] === ':';
}
