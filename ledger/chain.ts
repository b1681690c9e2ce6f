/**
 * The hash chain: how a record is bound to the one before it. Pure but for node:crypto.
 *
 *   this_hash = hex(SHA-256(ascii(prev_hash) || utf8(E))),  E = RFC 8785 text of the sealed event
 *
 * The prefix is always 64 characters and E is self-delimiting, so no two inputs collide by
 * concatenation. The first character is 0-9a-f: Merkle leaves and nodes start 0x00 and 0x01.
 */
import * as crypto from 'node:crypto';
import { chainHash, type ChainHash } from '../schemas/brand.ts';
import { canonicalize } from '../schemas/canonical.ts';
import type { Chain } from '../schemas/record.ts';

/** Hashes one sealed event onto its predecessor. One native call; node:crypto seals, @noble verifies. */
export function hashRecord(prevHash: ChainHash, eventText: string): ChainHash {
  return chainHash(crypto.hash('sha256', prevHash + eventText, 'hex'));
}

/**
 * Adds the member `chain` to the canonical text of an event, in its sorted place, without
 * serializing the event again. The event MUST have passed checkEvent: then the first member is
 * `actor`, an object in which no member's name begins with "c", so the first `},"c` is its end and
 * the member that follows `chain` (`changes` or `correlation`). Text cannot look like it: inside a
 * string the quote is escaped, and between two strings another quote stands before the comma.
 */
export function insertChain(canonicalEvent: string, chain: Chain): string {
  const at = canonicalEvent.indexOf('},"c') + 1;
  return (
    canonicalEvent.slice(0, at) + ',"chain":' + canonicalChain(chain) + canonicalEvent.slice(at)
  );
}

/** RFC 8785 text of a chain member, written out: every value has a form that needs no escaping. */
function canonicalChain(chain: Chain): string {
  const { id, seq, refused } = chain.producer;
  const producer =
    refused === undefined
      ? `{"id":"${id}","seq":${seq}}`
      : `{"id":"${id}","refused":${refused},"seq":${seq}}`;
  return `{"producer":${producer},"received_at":"${chain.received_at}","salt":"${chain.salt}","seq":${chain.seq},"stream":${canonicalize(chain.stream)},"v":"${chain.v}"}`;
}
