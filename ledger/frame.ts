/**
 * The bytes of one record: a line of NDJSON whose ends have a fixed length.
 *
 *   {"event":                 9 bytes
 *   E                         RFC 8785 text of the sealed event, as hashed
 *   ,"prev_hash":"<64 hex>"   14 + 64 + 1
 *   ,"this_hash":"<64 hex>"   14 + 64 + 1
 *   }\n                       2
 *
 * So a reader cuts E out without parsing, and `jq -c .event` gives back the hashed text.
 */
import { chainHash, type ChainHash } from '../schemas/brand.ts';

export const HEAD = '{"event":';
export const PREV_MARK = ',"prev_hash":"';
export const THIS_MARK = '","this_hash":"';
export const TAIL_MARK = '"}';
const HASH_LENGTH = 64;
export const ENDS_LENGTH: number =
  PREV_MARK.length + HASH_LENGTH + THIS_MARK.length + HASH_LENGTH + TAIL_MARK.length;
const ENDS = new RegExp(`^${PREV_MARK}([0-9a-f]{64})${THIS_MARK}([0-9a-f]{64})${TAIL_MARK}$`);

/** Formats a record as its line, newline included. */
export function formatRecord(eventText: string, prevHash: ChainHash, thisHash: ChainHash): string {
  return HEAD + eventText + formatEnd(prevHash, thisHash);
}

/** What stands behind the event in its line. */
export function formatEnd(prevHash: ChainHash, thisHash: ChainHash): string {
  return PREV_MARK + prevHash + THIS_MARK + thisHash + TAIL_MARK + '\n';
}

export interface RecordText {
  readonly eventText: string;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/** Cuts a line (without its newline) into event and hashes; null when it is no record line. */
export function splitRecord(line: string): RecordText | null {
  const endOfEvent = line.length - ENDS_LENGTH;
  if (endOfEvent <= HEAD.length || !line.startsWith(HEAD)) return null;
  const ends = splitEnds(line.slice(endOfEvent));
  return ends === null ? null : { eventText: line.slice(HEAD.length, endOfEvent), ...ends };
}

/** Cuts what stands behind the event (without the newline) into the hashes; null for anything else. */
export function splitEnds(ends: string): Omit<RecordText, 'eventText'> | null {
  const [, prev, last] = ENDS.exec(ends) ?? [];
  if (prev === undefined || last === undefined) return null;
  return { prev_hash: chainHash(prev), this_hash: chainHash(last) };
}
