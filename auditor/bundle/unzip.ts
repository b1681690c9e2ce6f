/**
 * Reads a bundle that is one .zip, held to what a bundle may be: no other names, none twice, and no more bytes than fit
 * into memory. Nothing of it goes to disk. Pure.
 */
import { unzipSync, type UnzipFileInfo } from 'fflate';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type { BundleFiles } from '../check/files.ts';
import { isBundleName } from './names.ts';

/** All files of a bundle together. */
export const BUNDLE_BYTES_MAX: number = 1 << 30;
/** Of one of them: no engine holds a longer text. */
export const FILE_BYTES_MAX = 0x1fffffe8;
export const FILES_MAX = 10_000;
export const TOO_LARGE = 'it is larger than a bundle that can be checked';

/** Reads a zip into memory; the error says why it is no bundle. Pure. */
export function unzipBundle(bytes: Uint8Array): Result<BundleFiles, string> {
  const seen = new Set<string>();
  let total = 0;
  let packed = 0;
  let fault: string | null = null;
  const take = ({ name, size, originalSize }: UnzipFileInfo): boolean => {
    total += Math.max(size, originalSize);
    packed += size;
    if (seen.has(name)) fault ??= `it holds ${JSON.stringify(name)} twice`;
    else if (!isBundleName(name)) fault ??= `${JSON.stringify(name)} does not belong to a bundle`;
    else if (total > BUNDLE_BYTES_MAX || originalSize > FILE_BYTES_MAX || seen.size >= FILES_MAX)
      fault ??= TOO_LARGE;
    // Names that share their bytes would have them inflated once for each.
    else if (packed > bytes.length) fault ??= 'its files lie in one another';
    seen.add(name);
    return fault === null;
  };
  try {
    // Once without unpacking: what is no bundle is not inflated.
    unzipSync(bytes, { filter: (info) => take(info) && false });
    if (fault !== null) return err(fault);
    const files = new Map(Object.entries(unzipSync(bytes)));
    return files.size === seen.size ? ok(files) : err('it is damaged');
  } catch (error) {
    return err(`it is no zip file: ${messageOf(error)}`);
  }
}
