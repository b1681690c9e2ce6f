/**
 * Lines of a file that hold one of some byte strings: a stream, in flat memory, whatever the file's size; gzip is
 * read by its first two bytes. A block without any of them is passed over before it is cut into lines.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';

export interface FoundLine {
  readonly text: string;
  /** 1-based. */
  readonly number: number;
}

export interface LineCounts {
  /** Lines beyond the limit, which were not looked at. */
  tooLong: number;
}

const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Yields the lines; rejects with what the system has against the file. */
export async function* findLines(
  path: string,
  needles: readonly Buffer[],
  limits: { readonly lineBytesMax: number },
  counts: LineCounts,
): AsyncGenerator<FoundLine> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let isSkipping = false;
  let number = 0;

  function* cut(block: Buffer): Generator<FoundLine> {
    const isHit = needles.some((needle) => block.includes(needle));
    let from = 0;
    while (from < block.length) {
      const to = block.indexOf(NEWLINE, from);
      const end = to === -1 ? block.length : to;
      number += 1;
      if (isHit) {
        const line = block.subarray(from, end);
        if (needles.some((needle) => line.includes(needle)))
          yield { text: line.toString('utf8').replace(/\r$/, ''), number };
      }
      from = end + 1;
    }
  }

  for await (const block of await openBlocks(path)) {
    const last = block.lastIndexOf(NEWLINE);
    if (last === -1) {
      if (!isSkipping) rest.push(block);
      restBytes += block.length;
      if (restBytes > limits.lineBytesMax && !isSkipping) {
        isSkipping = true;
        rest = [];
        counts.tooLong += 1;
      }
      continue;
    }
    let whole = block.subarray(0, last + 1);
    if (isSkipping) {
      whole = whole.subarray(whole.indexOf(NEWLINE) + 1);
      number += 1;
      isSkipping = false;
    } else if (rest.length > 0) whole = Buffer.concat([...rest, whole]);
    yield* cut(whole);
    rest = last + 1 < block.length ? [Buffer.from(block.subarray(last + 1))] : [];
    restBytes = block.length - last - 1;
  }
  if (rest.length > 0) yield* cut(Buffer.concat(rest));
}

async function openBlocks(path: string): Promise<AsyncIterable<Buffer>> {
  const file = await open(path, 'r');
  const start = Buffer.alloc(2);
  try {
    await file.read(start, 0, 2, 0);
  } finally {
    await file.close();
  }
  const bytes = createReadStream(path, { highWaterMark: BLOCK_BYTES });
  if (start[0] !== 0x1f || start[1] !== 0x8b) return bytes as AsyncIterable<Buffer>;
  const unpacked = createGunzip({ chunkSize: BLOCK_BYTES });
  bytes.on('error', (error) => unpacked.destroy(error));
  return bytes.pipe(unpacked) as AsyncIterable<Buffer>;
}
