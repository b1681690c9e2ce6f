/**
 * Where a record stands: stream, number and hashes, cut out of its line without decoding the event, for
 * whoever follows the ledger and needs no more of it. Every record passes here: by offsets and char codes
 * it takes a third of the time that patterns took (bench/README.md).
 */
import { chainHash, type ChainHash } from '../schemas/brand.ts';
import { ENDS_LENGTH, PREV_MARK, TAIL_MARK, THIS_MARK } from './frame.ts';

export interface RecordPlace {
  readonly stream: string;
  readonly seq: number;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/**
 * Reads a line, without its newline; null where it has another form than a sealed record. No string in
 * an event can look like the member `chain`: quotes are escaped there.
 */
export type FindPlace = (line: Buffer) => RecordPlace | null;

const CHAIN_AT = Buffer.from('},"chain":{');
/** Longer than the member is with the longest producer id and stream. */
const CHAIN_BYTES_MAX = 1_024;
const SALT_MARK = '"salt":"';
const SALT_LENGTH = 32;
const SEQ_MARK = '","seq":';
const SEQ_DIGITS_MAX = 16;
const STREAM_MARK = ',"stream":"';
const STREAM = /^[A-Za-z0-9._/-]{1,512}$/;
const VERSION_MARK = '","v":';
const HASH_LENGTH = 64;

const RECENT_MAX = 4;

/** Creates a finder. A stream that it has met lately is the same string again, which costs its reader no hash. */
export function createPlaceFinder(): FindPlace {
  const recent: string[] = [];

  /** The stream that begins there; null where none does. */
  function streamAt(chain: string, at: number): string | null {
    for (const stream of recent)
      if (chain.startsWith(stream, at) && chain.startsWith(VERSION_MARK, at + stream.length))
        return stream;
    const stream = chain.slice(at, Math.max(at, chain.indexOf(VERSION_MARK, at)));
    if (!STREAM.test(stream)) return null;
    if (recent.length === RECENT_MAX) recent.shift();
    recent.push(stream);
    return stream;
  }

  return (line) => {
    const endsAt = line.length - ENDS_LENGTH;
    const chainAt = line.indexOf(CHAIN_AT);
    if (chainAt === -1 || chainAt > endsAt) return null;
    const chain = line.toString('latin1', chainAt, Math.min(chainAt + CHAIN_BYTES_MAX, endsAt));
    const saltAt = chain.indexOf(SALT_MARK) + SALT_MARK.length;
    const digitsAt = saltAt + SALT_LENGTH + SEQ_MARK.length;
    const digitsEnd = endOfDigits(chain, digitsAt);
    const ends = line.toString('latin1', endsAt);
    const isFormed =
      saltAt >= SALT_MARK.length &&
      isHex(chain, saltAt, SALT_LENGTH) &&
      chain.startsWith(SEQ_MARK, saltAt + SALT_LENGTH) &&
      digitsEnd > digitsAt &&
      digitsEnd <= digitsAt + SEQ_DIGITS_MAX &&
      chain.startsWith(STREAM_MARK, digitsEnd) &&
      areEnds(ends);
    if (!isFormed) return null;
    const stream = streamAt(chain, digitsEnd + STREAM_MARK.length);
    if (stream === null) return null;
    return {
      stream,
      seq: Number(chain.slice(digitsAt, digitsEnd)),
      prev_hash: chainHash(ends.slice(PREV_AT, PREV_AT + HASH_LENGTH)),
      this_hash: chainHash(ends.slice(THIS_AT, THIS_AT + HASH_LENGTH)),
    };
  };
}

const PREV_AT = PREV_MARK.length;
const THIS_AT = PREV_AT + HASH_LENGTH + THIS_MARK.length;

/** Whether this is what stands behind the event in its line (frame.ts). */
function areEnds(ends: string): boolean {
  return (
    ends.startsWith(PREV_MARK) &&
    isHex(ends, PREV_AT, HASH_LENGTH) &&
    ends.startsWith(THIS_MARK, PREV_AT + HASH_LENGTH) &&
    isHex(ends, THIS_AT, HASH_LENGTH) &&
    ends.startsWith(TAIL_MARK, THIS_AT + HASH_LENGTH)
  );
}

function isHex(text: string, from: number, length: number): boolean {
  for (let at = from; at < from + length; at += 1) {
    const code = text.charCodeAt(at);
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}

function endOfDigits(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) >= 0x30 && text.charCodeAt(at) <= 0x39) at += 1;
  return at;
}
