/** Chunks of a segment file: where they are cut, and how one is read and summed up. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { LedgerFile } from '../filesystem.ts';
import { LEAD_BYTES, summarizeChunk } from './chunk.ts';
import type { ChunkSummary, KnownSizes } from './summary.ts';

/** Bytes [from, to) of a file: whole lines, but for one at the end of the file. */
export interface Chunk {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

const NEWLINE = 0x0a;
/** Large enough that a thread is busy for some ten milliseconds, and small enough to be kept many times. */
export const CHUNK_BYTES_DEFAULT: number = 4 * 1024 * 1024;
const PROBE_BYTES = 16 * 1024;
/** A longer one has a line that is none in it, and is not read into memory. */
const CHUNK_BYTES_MAX = 64 * 1024 * 1024;

/** Cuts a file of `size` bytes behind newlines; ends of the chunks, ascending. */
export async function cutFile(
  file: LedgerFile,
  size: number,
  chunkBytes: number,
): Promise<readonly number[]> {
  const ends: number[] = [];
  const probe = Buffer.allocUnsafe(PROBE_BYTES);
  for (let at = chunkBytes; at < size && at - (ends.at(-1) ?? 0) < CHUNK_BYTES_MAX;) {
    const bytesRead = await file.read(at, probe);
    if (bytesRead === 0) break;
    const newline = probe.subarray(0, bytesRead).indexOf(NEWLINE);
    if (newline === -1) {
      at += bytesRead;
      continue;
    }
    if (at + newline + 1 >= size) break;
    ends.push(at + newline + 1);
    at += newline + 1 + chunkBytes;
  }
  if (size > 0) ends.push(size);
  return ends;
}

/** Creates a function that reads chunks and sums them up, in one buffer. It waits for the disk. */
export function createChunkReader(known: KnownSizes | null): (chunk: Chunk) => ChunkSummary | null {
  let buffer = Buffer.allocUnsafeSlow(0);

  return ({ path, from, to }) => {
    if (to - from > CHUNK_BYTES_MAX) return null;
    const end = LEAD_BYTES + to - from;
    if (end > buffer.length) buffer = Buffer.allocUnsafeSlow(end);
    const file = openSync(path, 'r');
    try {
      for (let at = LEAD_BYTES; at < end;) {
        const bytesRead = readSync(file, buffer, at, end - at, from + at - LEAD_BYTES);
        if (bytesRead === 0) return null;
        at += bytesRead;
      }
    } finally {
      closeSync(file);
    }
    return summarizeChunk(buffer, LEAD_BYTES, end, known);
  };
}
