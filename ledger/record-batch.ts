/**
 * The lines of one group commit, sealed in place: each event is copied once, from where it came to where
 * it is written from. Its hash is over the previous hash and the event side by side; so the previous hash
 * is put right before the event, hashed with it, and then covered by what the lines have there: the end
 * of the line before and the beginning of its own, which is longer.
 *
 *   …E0 ,"prev_hash":"…","this_hash":"…"}\n{"event": E1 …
 *                                  [prev_hash of E1][E1]   hashed before the text above is written
 */
import type { ChainHash } from '../schemas/brand.ts';
import type { CanonicalEvent } from '../schemas/canonical-event.ts';
import { hashLinked } from './chain.ts';
import { formatEnd, HEAD } from './frame.ts';

export interface RecordBatch {
  /** Adds a record; `chain` is the text of that member (chain.ts). */
  add(event: CanonicalEvent, chain: string, prevHash: ChainHash): ChainHash;
  /** The lines so far; the bytes are good until the next call. */
  bytes(): Uint8Array;
  clear(): void;
}

const HASH_LENGTH = 64;
const CHAIN_NAME = ',"chain":';
const ROOM_BYTES = 256 * 1024;

/** Creates an empty batch. Its buffer grows to the largest batch there was and is used again. */
export function createRecordBatch(): RecordBatch {
  let buffer = Buffer.allocUnsafeSlow(ROOM_BYTES);
  /** Lines begin here: before the first, too, there is room for a hash. */
  const origin = HASH_LENGTH;
  let at = origin;
  /** What is still to be written at `at`: the end of the last line. */
  let end = '';

  function makeRoom(bytes: number): void {
    if (at + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(at + bytes, buffer.length * 2));
    buffer.copy(larger, 0, 0, at);
    buffer = larger;
  }

  return {
    add: (event, chain, prevHash) => {
      const member = CHAIN_NAME + chain;
      const gap = end + HEAD;
      const size = event.end - event.start + member.length;
      makeRoom(gap.length + size);
      const start = at + gap.length;
      let to = start;
      to += event.bytes.copy(buffer, to, event.start, event.chainAt);
      to += buffer.write(member, to, 'latin1');
      to += event.bytes.copy(buffer, to, event.chainAt, event.end);
      buffer.write(prevHash, start - HASH_LENGTH, 'latin1');
      const thisHash = hashLinked(buffer.subarray(start - HASH_LENGTH, to));
      buffer.write(gap, at, 'latin1');
      end = formatEnd(prevHash, thisHash);
      at = to;
      return thisHash;
    },
    bytes: () => {
      makeRoom(end.length);
      return buffer.subarray(origin, at + buffer.write(end, at, 'latin1'));
    },
    clear: () => {
      at = origin;
      end = '';
    },
  };
}
