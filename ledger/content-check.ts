/** The check of a record by itself: it has the hash that it states, and its event is in canonical form. Pure. */
import * as crypto from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { canonicalize, parseJson } from '../schemas/canonical.ts';
import type { Json } from '../schemas/event.ts';
import type { RecordText } from './frame.ts';

/** The hash of a record, by an implementation independent of the one that sealed it. */
export function rehash(prevHash: string, eventText: string): string {
  return bytesToHex(sha256(utf8ToBytes(prevHash + eventText)));
}

/** One record in so many is hashed by the other implementation as well: both would have to be wrong. */
export const SECOND_HASH_EVERY: number = 64;

/**
 * Whether the record has the hash that it states. The hasher that sealed says so of most, since it is the fastest;
 * what it denies, and a share of the rest, the other one judges.
 */
export function isHashOf(record: RecordText, isSecond: boolean): boolean {
  const { prev_hash, eventText, this_hash } = record;
  if (!isSecond && crypto.hash('sha256', prev_hash + eventText, 'hex') === this_hash) return true;
  return rehash(prev_hash, eventText) === this_hash;
}

/** Whether the text is the RFC 8785 form of what it says. */
export function isCanonical(eventText: string): boolean {
  try {
    return isCanonicalOf(parseJson(eventText), eventText);
  } catch {
    // No JSON.
    return false;
  }
}

/** The same, of a text that is parsed. */
export function isCanonicalOf(event: Json, eventText: string): boolean {
  try {
    return canonicalize(event) === eventText;
  } catch {
    // Without a canonical form it is not in it.
    return false;
  }
}
