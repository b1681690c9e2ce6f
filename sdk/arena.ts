/**
 * The arena: where the texts of events wait for their ack, as the bytes that are sent, one after the
 * other in chunks. A text kept as a string would be moved by every garbage collection and encoded again
 * for every sending. A chunk is freed with the last event in it.
 */

/** An event's line: bytes [start, end), and a newline at `end`. */
export interface Line {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export interface Arena {
  /** Writes a text as a line; the next one is written over it unless it is kept. */
  write(text: string): Line;
  /** Keeps the line written last. */
  keep(line: Line): void;
}

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
/** Bytes of UTF-8 that a UTF-16 unit takes at most. */
const BYTES_PER_UNIT_MAX = 3;

/** Creates an empty arena. */
export function createArena(): Arena {
  let chunk = Buffer.alloc(0);
  let at = 0;

  return {
    write: (text) => {
      // Most texts are ASCII; where one might not fit if it is not, its length is counted.
      const room = chunk.length - at - 1;
      if (room < text.length * BYTES_PER_UNIT_MAX && room < Buffer.byteLength(text)) {
        chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, Buffer.byteLength(text) + 1));
        at = 0;
      }
      const end = at + chunk.write(text, at);
      chunk[end] = NEWLINE;
      return { bytes: chunk, start: at, end };
    },
    keep: (line) => {
      at = line.end + 1;
    },
  };
}
