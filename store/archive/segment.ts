/** A segment's content: the ledger's own lines, one after the other, and gzip around them. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { formatRecord } from '../../ledger/frame.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type { StoredRecord } from '../store.ts';
import { digestOf } from './layout.ts';

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/** Nothing that an archive holds is larger; what claims to be is a bomb. */
export const CONTENT_BYTES_MAX: number = 256 * 1024 * 1024;

/** The lines of records, newlines included. */
export function linesOf(records: readonly StoredRecord[]): Buffer {
  return Buffer.from(
    records
      .map(({ eventText, prev_hash, this_hash }) => formatRecord(eventText, prev_hash, this_hash))
      .join(''),
  );
}

/** Compresses; the same bytes each time, for one build of zlib. */
export function pack(content: Uint8Array): Promise<Buffer> {
  return zip(content);
}

export interface PackFault {
  readonly kind: 'truncated' | 'tampered';
  readonly message: string;
}

/** Uncompresses what has this digest inside; the error says what was done to it. */
export async function unpack(body: Buffer, digest: string): Promise<Result<Buffer, PackFault>> {
  let content: Buffer;
  try {
    content = await unzip(body, { maxOutputLength: CONTENT_BYTES_MAX });
  } catch (error) {
    const message = messageOf(error);
    return err({ kind: message.includes('end of file') ? 'truncated' : 'tampered', message });
  }
  if (digestOf(content) === digest) return ok(content);
  return err({ kind: 'tampered', message: 'its content is not that which its key names' });
}

/** Cuts content into its lines, without their newlines. */
export function splitLines(content: Buffer): readonly string[] {
  const lines = content.toString('utf8').split('\n');
  // The last newline ends the last line.
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
