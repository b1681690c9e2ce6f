import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createByteGatherer } from '../../schemas/byte-gatherer.ts';
import { createFrameDecoder } from '../../schemas/wire-codec.ts';
import { FRAME_BYTES_MAX, FrameType } from '../../schemas/wire.ts';

test('what is taken is what was added, and later pieces do not touch it', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.uint8Array({ maxLength: 40 }))), (rounds) => {
      const gatherer = createByteGatherer();
      const taken = rounds.map((pieces) => {
        for (const piece of pieces) gatherer.add(piece);
        expect(gatherer.size()).toBe(pieces.reduce((sum, { length }) => sum + length, 0));
        return gatherer.take();
      });
      expect(taken.map(String)).toEqual(rounds.map((pieces) => String(Buffer.concat(pieces))));
    }),
  );
});

test('a frame that comes in byte by byte costs about its bytes in memory', () => {
  const decoder = createFrameDecoder(FRAME_BYTES_MAX);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(FRAME_BYTES_MAX);
  header[4] = FrameType.batch;
  decoder.push(header);
  const before = process.memoryUsage();
  for (let at = 0; at < 1_000_000; at++) decoder.push(Buffer.from(new ArrayBuffer(1)));
  const after = process.memoryUsage();
  // As a list of pieces it would be 400 MB.
  expect(after.rss - before.rss).toBeLessThan(150_000_000);
  expect(decoder.push(new Uint8Array(FRAME_BYTES_MAX - 1 - 1_000_000))).toMatchObject({
    ok: true,
    value: [{ type: FrameType.batch }],
  });
});
