/**
 * The arena: where events wait for their ack, as the bytes that are sent, one line after the other in
 * chunks. A text kept as a string would be moved by every garbage collection and encoded again for every
 * sending. A chunk is freed with the last event in it.
 */
import { EVENT_BYTES_MAX } from '../schemas/wire.ts';

/** An event's line: bytes [start, end), and a newline at `end`. */
export interface Line {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export interface Arena {
  /** Where the next line goes; written over until it is kept. */
  bytes(): Buffer;
  at(): number;
  /** Begins a chunk, in which the largest event has room. */
  renew(): void;
  /** Keeps what was written up to `end`, as a line; a byte MUST be left for its newline. */
  keep(end: number): Line;
}

const CHUNK_BYTES: number = 2 * EVENT_BYTES_MAX;
const NEWLINE = 0x0a;

/** Creates an empty arena. */
export function createArena(): Arena {
  let chunk = Buffer.alloc(0);
  let at = 0;

  return {
    bytes: () => chunk,
    at: () => at,
    renew: () => {
      chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      at = 0;
    },
    keep: (end) => {
      const line = { bytes: chunk, start: at, end };
      chunk[end] = NEWLINE;
      at = end + 1;
      return line;
    },
  };
}
