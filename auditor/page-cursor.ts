/**
 * Where a page ends, as a text for whoever asks for the next one. It belongs to one question: with another one it is
 * refused. It holds nothing that the page did not, and opens nothing: the boundary is the database's. Pure.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { canonicalize } from '../schemas/canonical.ts';
import { readJson } from '../schemas/untrusted-json.ts';
import type { AnswerRow, Asked } from './answer.ts';
import type { Key, KeyKind } from './questions/question.ts';

const FORMS: Readonly<Record<KeyKind, RegExp>> = {
  time: /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/,
  integer: /^\d{1,15}$/,
  text: /^[^\0]{0,4096}$/s,
};

export interface Cursor {
  /** Of the last row of the page before. */
  readonly key: Key;
  /** Its digest: so that nothing is left out between two pages. */
  readonly before: string;
}

export function encodeCursor(asked: Asked, { key, before }: Cursor): string {
  return Buffer.from(JSON.stringify([digestOf(asked), before, ...key])).toString('base64url');
}

/** Null where it is none of this question. */
export function decodeCursor(
  asked: Asked,
  kinds: readonly KeyKind[],
  cursor: string,
): Cursor | null {
  if (!/^[\w-]{1,16384}$/.test(cursor)) return null;
  const said = readJson(Buffer.from(cursor, 'base64url').toString('utf8'));
  if (!Array.isArray(said) || said.length !== kinds.length + 2) return null;
  const [digest, before, ...key] = said as readonly unknown[];
  if (digest !== digestOf(asked) || typeof before !== 'string') return null;
  const isKey = key.every((part, index): part is string => {
    const form = FORMS[kinds[index] ?? 'time'];
    return typeof part === 'string' && part.isWellFormed() && form.test(part);
  });
  if (!isKey) return null;
  const isTime = key.every(
    (part, index) => kinds[index] !== 'time' || !Number.isNaN(Date.parse(part)),
  );
  return isTime ? { key, before } : null;
}

/** What tells a row from all others of an answer. */
export function digestOfRow({ values, record }: AnswerRow): string {
  return shortDigest({ values, record });
}

function digestOf({ question, tenant, since, until, timeZone, parameters }: Asked): string {
  const said = { question, tenant, since, until, timeZone, parameters: { ...parameters } };
  return shortDigest(said);
}

function shortDigest(value: object): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalize(value)))).slice(0, 32);
}
