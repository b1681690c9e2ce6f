/**
 * Lines of a segment file, in large reads: for recovery, delivery and the verifier alike.
 */
import type { LedgerFile } from './filesystem.ts';

const NEWLINE = 0x0a;
/** Far beyond any line that is written here. What is longer is none, and MUST NOT be held in memory. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** What is shown of it. */
const SHOWN_BYTES = 1024;
export const READ_BYTES_DEFAULT: number = 1024 * 1024;

export interface Line {
  /** Bytes of the line without its newline; valid until the next read. */
  readonly bytes: Buffer;
  /** Place of its first byte in the file. */
  readonly start: number;
  /** False: the file ended before a newline. */
  readonly whole: boolean;
}

/**
 * Yields arrays of lines from `start` on, up to `end` bytes of the file; a last partial line too. Of a line that is too
 * long to be one its beginning stands for it.
 */
export async function* readLines(
  file: LedgerFile,
  start: number,
  end: number,
  readBytes: number = READ_BYTES_DEFAULT,
): AsyncGenerator<Line[], void> {
  let rest: Buffer = Buffer.alloc(0);
  let position = start;
  let isSkipping = false;
  while (position < end) {
    const chunk = Buffer.allocUnsafe(Math.min(readBytes, end - position));
    const bytesRead = await file.read(position, chunk);
    if (bytesRead === 0) break;
    const restStart = position - rest.length;
    position += bytesRead;
    const bytes =
      rest.length === 0
        ? chunk.subarray(0, bytesRead)
        : Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    const lines: Line[] = [];
    let at = 0;
    if (isSkipping) {
      at = bytes.indexOf(NEWLINE) + 1;
      if (at === 0) continue;
      isSkipping = false;
    }
    // Search from the end of the old rest: its bytes hold no newline.
    for (
      let newline = bytes.indexOf(NEWLINE, Math.max(at, rest.length));
      newline !== -1;
      newline = bytes.indexOf(NEWLINE, at)
    ) {
      lines.push({ bytes: bytes.subarray(at, newline), start: restStart + at, whole: true });
      at = newline + 1;
    }
    rest = bytes.subarray(at);
    if (rest.length > LINE_BYTES_MAX) {
      lines.push({ bytes: rest.subarray(0, SHOWN_BYTES), start: restStart + at, whole: true });
      rest = Buffer.alloc(0);
      isSkipping = true;
    }
    yield lines;
  }
  if (rest.length > 0) yield [{ bytes: rest, start: position - rest.length, whole: false }];
}

/** Yields blocks of whole lines, the last block of the file first; an unfinished last line is left out. */
export async function* readBlocksBackward(
  file: LedgerFile,
  readBytes: number = READ_BYTES_DEFAULT,
): AsyncGenerator<Buffer, void> {
  /** Begins in the middle of a line, whose head is still to be read. */
  let rest: Buffer = Buffer.alloc(0);
  for (let end = await file.size(); end > 0;) {
    const start = Math.max(0, end - readBytes);
    const chunk = Buffer.allocUnsafe(end - start);
    const bytesRead = await file.read(start, chunk);
    const bytes = Buffer.concat([chunk.subarray(0, bytesRead), rest]);
    const from = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    const to = bytes.lastIndexOf(NEWLINE) + 1;
    end = start;
    rest = bytes.subarray(0, from);
    if (from === 0 && start > 0) rest = bytes;
    else if (to > from) yield bytes.subarray(from, to);
  }
}
