/**
 * Detectors: secrets and personal numbers recognised by their form, wherever they stand in a text.
 * Each looks at plain text; other readings (encodings, look-alikes) are made in text.ts.
 */
import { findCardNumbers } from './card-number.ts';
import { addIbans } from './iban.ts';
import type { KeyClass } from './keys.ts';
import { findPersonal } from './personal.ts';
import type { Span } from './spans.ts';
import { normalizeId } from './token-lookup.ts';
import type { Suspicion } from './suspicion.ts';

/** Three Base64 groups that decode to nine ASCII characters; random text rarely has them. */
export const ASCII_BASE64: RegExp =
  /(?:[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){3}/;

const SIGN = /[=:]|\s(?:is|was)\b/i;

/** Runs every detector over a text whose markers are masked. */
export function detect(text: string, options: DetectOptions): readonly Span[] {
  const spans: Span[] = [];
  addPatterns(text, spans);
  if (text.includes('eyJ')) addJwts(text, spans);
  if (text.includes(';')) addCookieLines(text, spans);
  if (SSN_HINT.test(text)) addSocialSecurityNumbers(text, spans);
  if (/\d.{0,3}(?:\d.{0,3}){11}/s.test(text)) spans.push(...findCardNumbers(text));
  if (/[A-Za-z]{2}\d{2}/.test(text)) addIbans(text, spans);
  if (!options.keepEmails && text.includes('@')) addEmails(text, spans);
  if (text.includes('://')) addUrlPasswords(text, spans);
  if (SIGN.test(text)) addAssignments(text, options.classifyKey, spans);
  if (options.isOpaque === true) spans.push(...findPersonal(text));
  return spans;
}

/** What detect needs to know about where the text stands. */
export interface DetectOptions {
  readonly keepEmails: boolean;
  /** An id, in which no person has a place (personal.ts). */
  readonly isOpaque?: boolean;
  readonly classifyKey: (name: string) => KeyClass;
  readonly suspicion: Suspicion;
}

const PATTERNS: readonly (readonly [Span['kind'], RegExp])[] = [
  [
    'private_key',
    /-{2,5}\s?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-{2,}[\s\S]*?(?:END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-{2,}|$)/g,
  ],
  [
    'api_key',
    /A[KS]IA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|[rs]k_(?:live|test)_\w{8,}|whsec_\w{16,}|AIza[\w-]{30,}|ya29\.[\w-]{16,}|npm_[A-Za-z0-9]{30,}|GOCSPX-[\w-]{16,}|sk-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|hooks\.slack\.com\/services\/[\w/]+/g,
  ],
  ['bearer', /\bbearer\s+(?=\S*\d|\S{20}|\S*[a-z][A-Z]|\S*[A-Z]{2})[^\s"',;&<>\u0001]{5,}/gi],
  ['bearer', /\bbasic\s+(?=[A-Za-z]*[A-Z0-9+/=])[A-Za-z0-9+/_-]{7,}={0,2}/g],
  ['bearer', /\bBasic\s+[A-Za-z0-9+/_-]{7,}={0,2}(?![A-Za-z ])/g],
  ['cookie', /(?:set-)?cookies?["']?\s*[:=]\s*[^\s\u0001][^\r\n\u0001]*/gi],
  ['secret', /authorization["']?\s*[:=]\s*[^\s\u0001][^\r\n,\u0001]*/gi],
  [
    'cookie',
    /\b(?:j?session_?id|phpsessid|connect\.sid|sid|csrf_?token|xsrf-token)=[^\s&;\u0001]+/gi,
  ],
];

function addPatterns(text: string, spans: Span[]): void {
  for (const [kind, pattern] of PATTERNS) {
    for (const match of text.matchAll(pattern)) {
      spans.push({ start: match.index, end: match.index + match[0].length, kind, value: '' });
    }
  }
}

const COOKIE_ATTRIBUTE = /;\s{0,4}(?:path=|httponly|samesite|max-age=|secure\b)/i;

/** A Set-Cookie value by its attributes: the line goes, from the first `name=` on. */
function addCookieLines(text: string, spans: Span[]): void {
  for (const line of text.matchAll(/[^\r\n\u0001]+/g)) {
    const attribute = COOKIE_ATTRIBUTE.exec(line[0])?.index ?? 0;
    const equals = line[0].indexOf('=');
    if (equals < 1 || equals > attribute) continue;
    let start = equals;
    while (start > 0 && /[\w.-]/.test(line[0].charAt(start - 1))) start--;
    const end = line.index + line[0].length;
    spans.push({ start: line.index + start, end, kind: 'cookie', value: '' });
  }
}

/**
 * A header, a dot and a payload. Whole runs are taken first: a pattern that tried each `eyJ`
 * would need quadratic time for a text made of them.
 */
function addJwts(text: string, spans: Span[]): void {
  for (const run of text.matchAll(/[A-Za-z0-9_.-]+/g)) {
    const start = run[0].indexOf('eyJ');
    if (start < 0) continue;
    const dot = run[0].indexOf('.', start + JWT_HEADER_MIN);
    if (dot < 0 || dot + 2 >= run[0].length) continue;
    const end = run.index + run[0].length;
    spans.push({ start: run.index + start, end, kind: 'jwt', value: '' });
  }
}

const JWT_HEADER_MIN = 8;
const SSN_HINT = /\d{3}[ .\-_]\d{2}[ .\-_]\d{4}|\d{9}/;
const SSN = /\d{3}([ .\-_])\d{2}([ .\-_])\d{4}/g;
const SSN_NAMED =
  /(?:\bssn|social[\s_-]?security|\bitin|\btin|tax[\s_-]?id|national[\s_-]?id)(?:[\s_-]?(?:number|no|num|nr))?[^\dA-Za-z]{0,4}(?:is|was|of)?[^\dA-Za-z]{0,4}(\d{9})(?!\d)/gi;

/** Written with dashes it is one; with other separators the ranges in use have to fit as well. */
function addSocialSecurityNumbers(text: string, spans: Span[]): void {
  const pattern = new RegExp(SSN.source, 'g');
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const found = match[0];
    const value = found.replace(/\D/g, '');
    const dashed = match[1] === '-' && match[2] === '-';
    if (
      isYearAndMonth(text, match.index, value) ||
      (!dashed && !isAssigned(text, match.index, value))
    ) {
      // A shifted reading of the same digits may still be one.
      pattern.lastIndex = match.index + 1;
      continue;
    }
    spans.push({ start: match.index, end: match.index + found.length, kind: 'ssn', value });
  }
  for (const match of text.matchAll(SSN_NAMED)) {
    const value = match[1] ?? '';
    const end = match.index + match[0].length;
    spans.push({ start: end - value.length, end, kind: 'ssn', value });
  }
}

/** `2026-11-0042`: an order number by year and month. */
function isYearAndMonth(text: string, at: number, value: string): boolean {
  const before = /(?:^|[^\d])(\d)$/.exec(text.slice(Math.max(0, at - 2), at));
  if (before === null) return false;
  const month = Number(value.slice(3, 5));
  return /^(?:19|20)$/.test((before[1] ?? '') + value.charAt(0)) && month >= 1 && month <= 12;
}

function isAssigned(text: string, at: number, value: string): boolean {
  const area = Number(value.slice(0, 3));
  if (area === 0 || area === 666 || value.slice(3, 5) === '00' || value.endsWith('0000'))
    return false;
  const before = text.slice(Math.max(0, at - 2), at);
  const after = text.slice(at + 11, at + 13);
  return !/\d[ .\-_]?$/.test(before) && !/^[ .\-_]?\d/.test(after);
}

const EMAIL =
  /[\p{L}\p{N}._%+'-]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,8}\p{L}{2,24}/gu;

function addEmails(text: string, spans: Span[]): void {
  for (const match of text.matchAll(EMAIL)) {
    const end = match.index + match[0].length;
    spans.push({ start: match.index, end, kind: 'email', value: match[0].toLowerCase() });
  }
}

const URL_PASSWORD = /[a-z][a-z0-9+.-]{0,30}:\/\/[^\s/?#@:\u0001]*:([^\s/?#\u0001]+)@/gi;

function addUrlPasswords(text: string, spans: Span[]): void {
  for (const match of text.matchAll(URL_PASSWORD)) {
    const end = match.index + match[0].length - 1;
    const start = end - (match[1] ?? '').length;
    spans.push({ start, end, kind: 'secret', value: '' });
  }
}

const ASSIGNMENT =
  /([A-Za-z][\w.-]{0,63})(?:\\?["'])?\s*(?:=>|[:=]|\b(?:is|was)\b)\s*(\\?"(?:[^"\\\u0001]|\\[^"])*\\?"?|'[^'\u0001]*'?|[^\s&"'<>\u0001]{1,256})/g;
/** The rest of a longer value; the bound above keeps `a=a=a=…` from taking quadratic time. */
const VALUE_REST = /[^\s&"'<>\u0001]*/y;
const PROSE = /\s(?:is|was)\s*$/;

/** `name=value`, `"name": "value"`, `password is value`: the name decides, as for members. */
function addAssignments(
  text: string,
  classifyKey: (name: string) => KeyClass,
  spans: Span[],
): void {
  const pattern = new RegExp(ASSIGNMENT.source, 'g');
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const value = match[2] ?? '';
    const end = match.index + match[0].length;
    const start = end - value.length;
    const bare = value.replace(/^\\?["']|\\?["']$|[.,;!?)\]}]+$/g, '');
    const nameClass = bare === '' ? 'none' : classifyKey(match[1] ?? '');
    const prose = PROSE.test(text.slice(match.index, start));
    const span = spanOfAssignment(nameClass, bare, prose);
    if (span !== null) {
      const offset = start + value.indexOf(bare);
      // Closing brackets and stops after a secret might be part of it.
      const whole = nameClass === 'secret' && !/^\\?["']/.test(value);
      const until = whole ? endOfValue(text, end) : offset + bare.length;
      pattern.lastIndex = Math.max(end, until);
      spans.push({ ...span, start: offset, end: until });
    } else {
      // The value may itself be the name of the next assignment (`header: token=…`).
      pattern.lastIndex = Math.max(match.index + 1, start);
    }
  }
}

function spanOfId(value: string): Pick<Span, 'kind' | 'value'> {
  const { kind, normalized } = normalizeId(value);
  return { kind, value: normalized };
}

function endOfValue(text: string, from: number): number {
  VALUE_REST.lastIndex = from;
  return from + (VALUE_REST.exec(text)?.[0].length ?? 0);
}

function spanOfAssignment(
  nameClass: KeyClass,
  value: string,
  prose: boolean,
): Pick<Span, 'kind' | 'value'> | null {
  const digits = value.replace(/[ .\-_]/g, '');
  switch (nameClass) {
    case 'secret':
      return prose && !/[^A-Za-z]/.test(value) ? null : { kind: 'secret', value: '' };
    case 'national_id':
      if (!/\d{4}/.test(digits)) return null;
      return spanOfId(value);
    case 'card':
      return /^\d{12,19}$/.test(digits) ? { kind: 'pan', value: digits } : null;
    case 'national_token':
    case 'free_text':
    case 'personal_text':
    case 'none':
      return null;
  }
}
