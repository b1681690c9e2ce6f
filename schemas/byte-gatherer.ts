/**
 * Bytes that arrive in pieces, kept as one. Pure. A list of pieces would cost some hundred bytes for
 * each, and a peer decides how small they are.
 */

export interface ByteGatherer {
  add(piece: Uint8Array): void;
  size(): number;
  /** Hands over all bytes and begins again; they are nobody else's. */
  take(): Buffer;
}

/** Creates an empty gatherer. It holds at most twice the bytes that were added. */
export function createByteGatherer(): ByteGatherer {
  let room = Buffer.alloc(0);
  let size = 0;

  return {
    size: () => size,
    add: (piece) => {
      const wanted = size + piece.length;
      if (wanted > room.length) {
        const larger = Buffer.allocUnsafe(Math.max(wanted, room.length * 2));
        larger.set(room.subarray(0, size));
        room = larger;
      }
      room.set(piece, size);
      size = wanted;
    },
    take: () => {
      const bytes = room.subarray(0, size);
      room = Buffer.alloc(0);
      size = 0;
      return bytes;
    },
  };
}
