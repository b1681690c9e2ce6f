/**
 * An event as the bytes that are sealed: RFC 8785 form in UTF-8, still without the member `chain`. It
 * may be a part of what came off a socket, so that a clean event is never copied before it is sealed.
 */

export interface CanonicalEvent {
  readonly bytes: Buffer;
  /** The event is bytes [start, end). */
  readonly start: number;
  readonly end: number;
  /** Where the member `chain` belongs, with a comma before it: just behind the member `actor`. */
  readonly chainAt: number;
}

/**
 * Takes the canonical text of an event that has passed checkEvent. Its first member is `actor`, an
 * object in which no member's name begins with "c", so the first `},"c` is its end and the member that
 * follows `chain` (`changes` or `correlation`). Text cannot look like it: inside a string the quote is
 * escaped, and between two strings another quote stands before the comma.
 */
export function canonicalEvent(text: string): CanonicalEvent {
  const bytes = Buffer.from(text);
  return { bytes, start: 0, end: bytes.length, chainAt: bytes.indexOf('},"c') + 1 };
}

const EVENT_ID = '},"event_id":"';
const EVENT_ID_LENGTH = 26;

/** The event_id, read off the bytes: no member before it has that name, and no string can look like it. */
export function eventIdOf({ bytes, chainAt }: CanonicalEvent): string {
  const at = bytes.indexOf(EVENT_ID, chainAt, 'latin1') + EVENT_ID.length;
  return bytes.toString('latin1', at, at + EVENT_ID_LENGTH);
}
