/** The files of a bundle, in memory. Pure. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

/** By name, with `/` between folders. */
export type BundleFiles = ReadonlyMap<string, Uint8Array>;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a file; null where it is not there, or no text. */
export function textOf(files: BundleFiles, name: string): string | null {
  const bytes = files.get(name);
  if (bytes === undefined) return null;
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}
