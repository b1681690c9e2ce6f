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
import type { Chain } from '../schemas/record.ts';

/** Hashes one sealed event onto its predecessor. One native call; node:crypto seals, @noble verifies. */
export function hashRecord(prevHash: ChainHash, eventText: string): ChainHash {
  return hashLinked(prevHash + eventText);
}

/** Hashes a previous hash and the sealed event behind it, where they stand side by side already. */
export function hashLinked(linked: string | Uint8Array): ChainHash {
  return chainHash(crypto.hash('sha256', linked, 'hex'));
}

/** RFC 8785 text of the value of `chain`, written out: nothing in it needs escaping. */
export function formatChain(chain: Chain): string {
  const { id, seq, refused } = chain.producer;
  const producer =
    refused === undefined
      ? `{"id":"${id}","seq":${seq}}`
      : `{"id":"${id}","refused":${refused},"seq":${seq}}`;
  return `{"producer":${producer},"received_at":"${chain.received_at}","salt":"${chain.salt}","seq":${chain.seq},"stream":"${chain.stream}","v":"${chain.v}"}`;
}
