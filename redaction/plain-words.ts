/**
 * The few words that come again with every event (names of members, actions, tenants, the second that
 * it is), read from bytes without making the same string anew: the last one seen of each slot is kept.
 */

const SLOTS = 1024;
/** Longer ones are not words. */
const LENGTH_MAX = 64;

/** A class, for the fields are what the hot path lives on. */
export class PlainWords {
  private readonly kept: string[] = new Array<string>(SLOTS).fill('');

  /** The ASCII text in bytes [start, end). */
  read(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length === 0 || length > LENGTH_MAX) return bytes.toString('latin1', start, end);
    const slot =
      (length * 31 +
        (bytes[start] ?? 0) * 7 +
        (bytes[start + (length >> 1)] ?? 0) * 131 +
        (bytes[end - 1] ?? 0) * 37) %
      SLOTS;
    const word = this.kept[slot] ?? '';
    return isAt(word, bytes, start, length) ? word : this.keep(slot, bytes, start, end);
  }

  private keep(slot: number, bytes: Buffer, start: number, end: number): string {
    const word = bytes.toString('latin1', start, end);
    this.kept[slot] = word;
    return word;
  }
}

function isAt(word: string, bytes: Buffer, start: number, length: number): boolean {
  if (word.length !== length) return false;
  for (let index = 0; index < length; index++)
    if (word.charCodeAt(index) !== bytes[start + index]) return false;
  return true;
}
