/**
 * Encoding and decoding of socket frames (layout: wire.ts). Pure: bytes in, bytes out.
 */
import { createByteGatherer } from './byte-gatherer.ts';
import { refusal, type Refusal } from './refusal.ts';
import { err, ok, type Result } from './result.ts';
import { FRAME_HEADER_BYTES, FrameType, type Frame, type FrameDecoder } from './wire.ts';

/** A frame whose payload is still to be written, behind the header. */
export function allocateFrame(type: FrameType, payloadBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payloadBytes);
  frame.writeUInt32BE(payloadBytes + 1, 0);
  frame[4] = type;
  return frame;
}

/** Builds one frame. */
export function encodeFrame(type: FrameType, payload: string | Uint8Array): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
  const frame = allocateFrame(type, bytes);
  if (typeof payload === 'string') frame.write(payload, FRAME_HEADER_BYTES);
  else frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

/**
 * Creates a decoder that takes frames up to `frameBytesMax` (type and payload). A length beyond it
 * is refused from the header alone, before a byte of the payload is kept.
 */
export function createFrameDecoder(frameBytesMax: number): FrameDecoder {
  const kept = createByteGatherer();
  let bytesNeeded = FRAME_HEADER_BYTES;

  function push(bytes: Uint8Array): Result<readonly Frame[], Refusal> {
    // Most reads end inside a large frame: its rest is waited for.
    const isWhole = kept.size() + bytes.length >= bytesNeeded;
    if (!isWhole || kept.size() > 0) kept.add(bytes);
    if (!isWhole) return ok([]);
    const joined =
      kept.size() > 0 ? kept.take() : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const frames: Frame[] = [];
    let at = 0;
    bytesNeeded = FRAME_HEADER_BYTES;
    while (joined.length - at >= FRAME_HEADER_BYTES) {
      const bytesFramed = joined.readUInt32BE(at);
      const type = joined[at + 4] ?? 0;
      if (bytesFramed < 1 || bytesFramed > frameBytesMax) {
        return err(
          refusal(
            'protocol_error',
            `a frame of ${bytesFramed} bytes; the limit is ${frameBytesMax}, send smaller batches`,
          ),
        );
      }
      if (!KNOWN_TYPES.has(type)) {
        return err(
          refusal(
            'protocol_error',
            `frame type ${type} is unknown; this socket speaks Sealtrail's protocol, version 1`,
          ),
        );
      }
      const end = at + 4 + bytesFramed;
      if (end > joined.length) {
        bytesNeeded = end - at;
        break;
      }
      frames.push({ type, payload: joined.subarray(at + FRAME_HEADER_BYTES, end) });
      at = end;
    }
    // The rest is copied: a view would keep the whole read alive.
    if (at < joined.length) kept.add(joined.subarray(at));
    return ok(frames);
  }

  return { push };
}
