/**
 * Where a page ends, as a text for whoever asks for the next one. It belongs to one question: with another one it is
 * refused. It holds nothing that the page did not, and opens nothing: the boundary is the database's. Pure.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { canonicalize } from '../schemas/canonical.ts';
import { readJson } from '../schemas/untrusted-json.ts';
import type { Asked } from './answer.ts';
import type { Key, KeyKind } from './questions/question.ts';

const FORMS: Readonly<Record<KeyKind, RegExp>> = {
  time: /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/,
  integer: /^\d{1,15}$/,
  text: /^[^\0]{0,4096}$/s,
};

export function encodeCursor(asked: Asked, key: Key): string {
  return Buffer.from(JSON.stringify([digestOf(asked), ...key])).toString('base64url');
}

/** The key; null where it is none of this question. */
export function decodeCursor(asked: Asked, kinds: readonly KeyKind[], cursor: string): Key | null {
  if (!/^[\w-]{1,16384}$/.test(cursor)) return null;
  const said = readJson(Buffer.from(cursor, 'base64url').toString('utf8'));
  if (!Array.isArray(said) || said.length !== kinds.length + 1) return null;
  const [digest, ...key] = said as readonly unknown[];
  if (digest !== digestOf(asked)) return null;
  const isKey = key.every((part, index): part is string => {
    const form = FORMS[kinds[index] ?? 'time'];
    return typeof part === 'string' && part.isWellFormed() && form.test(part);
  });
  if (!isKey) return null;
  const isTime = key.every(
    (part, index) => kinds[index] !== 'time' || !Number.isNaN(Date.parse(part)),
  );
  return isTime ? key : null;
}

function digestOf({ question, tenant, since, until, timeZone, parameters }: Asked): string {
  const said = { question, tenant, since, until, timeZone, parameters: { ...parameters } };
  return bytesToHex(sha256(utf8ToBytes(canonicalize(said)))).slice(0, 32);
}
