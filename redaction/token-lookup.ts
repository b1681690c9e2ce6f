/**
 * From a value to its tokens: under the key in use and under those that were, so that events from
 * before a rotation are found as well. The other way there is none: a token says only which key made it.
 */
import { findIban } from './iban.ts';
import type { RedactionKind } from './rules.ts';
import { createTokenizer, type KeyRing } from './tokens.ts';
import { foldText } from './views.ts';

/** What a token is made of. */
export interface TokenSource {
  readonly kind: RedactionKind;
  readonly normalized: string;
}

/** Nine digits are one kind however they are called, so that equal numbers get equal tokens. */
export function normalizeId(text: string): TokenSource {
  const normalized = foldText(text)
    .replace(/[^\p{L}\p{N}]/gu, '')
    .toUpperCase();
  return { kind: /^\d{9}$/.test(normalized) ? 'ssn' : 'national_id', normalized };
}

/** A value as redaction takes it: an e-mail address, an IBAN, or else an official number. */
export function sourceOf(value: string): TokenSource {
  const text = foldText(value).trim();
  if (text.includes('@')) return { kind: 'email', normalized: text.toLowerCase() };
  const iban = findIban(text, 0, text);
  if (iban !== null) return { kind: 'iban', normalized: iban.value };
  return normalizeId(text);
}

/** The tokens of a value, one a key, in the order of the ring. */
export function tokensOf(ring: KeyRing, tenant: string, value: string): readonly string[] {
  const { kind, normalized } = sourceOf(value);
  return ring.map((key) => createTokenizer(key).tokenize(tenant, kind, normalized));
}
