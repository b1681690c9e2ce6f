import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFrameDecoder, encodeFrame } from '../../schemas/wire-codec.ts';
import { FRAME_HEADER_BYTES, FrameType, type Frame } from '../../schemas/wire.ts';

const LIMIT = 1024;
const types = fc.constantFrom(...Object.values(FrameType));
const frames = fc.array(
  fc.record({
    type: types,
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
    ),
  }),
  { maxLength: 6 },
);

/** Feeds chunks; the payloads are copied, since a decoder may hand out views. */
function decode(chunks: readonly Uint8Array[], limit = LIMIT): Frame[] | string {
  const decoder = createFrameDecoder(limit);
  const found: Frame[] = [];
  for (const chunk of chunks) {
    const got = decoder.push(chunk);
    if (!got.ok) return got.error.kind;
    for (const { type, payload } of got.value) found.push({ type, payload: payload.slice() });
  }
  return found;
}

const plain = (all: readonly Frame[] | string): unknown =>
  typeof all === 'string'
    ? all
    : all.map(({ type, payload }) => [type, Buffer.from(payload).toString('hex')]);

test('frames come out as they went in, wherever the bytes are split', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(), { maxLength: 8 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(({ type, payload }) => encodeFrame(type, payload)));
      const at = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
      const chunks = [0, ...at].map((from, index) =>
        bytes.subarray(from, at[index] ?? bytes.length),
      );
      expect(plain(decode(chunks))).toEqual(plain(sent));
    }),
  );
});

test('two frames split at every byte, and fed byte by byte', () => {
  const sent = [
    { type: FrameType.hello, payload: Buffer.from('{"version":1}') },
    { type: FrameType.batch, payload: Buffer.from('{"batch":1}\n{}\n') },
  ];
  const bytes = Buffer.concat(sent.map(({ type, payload }) => encodeFrame(type, payload)));
  for (let at = 0; at <= bytes.length; at++) {
    expect(plain(decode([bytes.subarray(0, at), bytes.subarray(at)]))).toEqual(plain(sent));
  }
  expect(plain(decode([...bytes].map((byte) => Uint8Array.of(byte))))).toEqual(plain(sent));
});

test('text is measured in bytes of UTF-8, not in characters', () => {
  const frame = encodeFrame(FrameType.batch, 'ä€😀');
  expect(frame.readUInt32BE(0)).toBe(1 + 2 + 3 + 4);
  expect(plain(decode([frame]))).toEqual([[FrameType.batch, Buffer.from('ä€😀').toString('hex')]]);
});

const header = (length: number, type: number): Buffer => {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  bytes.writeUInt32BE(length, 0);
  bytes[4] = type;
  return bytes;
};

test('a length beyond the limit is refused from the header alone', () => {
  expect(decode([header(LIMIT + 1, FrameType.batch)])).toBe('protocol_error');
  expect(decode([header(0xffff_ffff, FrameType.batch)])).toBe('protocol_error');
  const largest = encodeFrame(FrameType.batch, Buffer.alloc(LIMIT - 1, 97));
  expect(decode([largest])).toHaveLength(1);
});

test('a frame without a type, and one of an unknown type, end the connection', () => {
  expect(decode([header(0, FrameType.batch)])).toBe('protocol_error');
  for (const type of [0, 5, 71, 255]) expect(decode([header(1, type)])).toBe('protocol_error');
});

test('a frame of nothing but its type is whole', () => {
  expect(plain(decode([encodeFrame(FrameType.ack, '')]))).toEqual([[FrameType.ack, '']]);
});

test('what is not our protocol at all is refused, never waited for', () => {
  expect(decode([Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')])).toBe('protocol_error');
});

test('an incomplete frame yields nothing yet, however much of it is there', () => {
  const frame = encodeFrame(FrameType.batch, 'payload');
  for (let bytes = 0; bytes < frame.length; bytes++) {
    expect(decode([frame.subarray(0, bytes)])).toEqual([]);
  }
});
