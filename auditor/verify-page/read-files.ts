/** From what a person drops or picks to the files of a bundle. */
import { err, ok, type Result } from '../../schemas/result.ts';
import { isHiddenName } from '../bundle/names.ts';
import { BUNDLE_BYTES_MAX, FILE_BYTES_MAX, TOO_LARGE, unzipBundle } from '../bundle/unzip.ts';
import type { BundleFiles } from '../check/files.ts';

interface Picked {
  readonly path: string;
  readonly file: File;
}

/** Files of an input. */
export function pickedOf(list: FileList | null): readonly Picked[] {
  return [...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** What was dropped, with all that is in a folder. */
export async function droppedOf(transfer: DataTransfer): Promise<readonly Picked[]> {
  // All at once: the list is empty after the first wait.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const found: Picked[] = [];
  for (const entry of entries) if (entry !== null) await walk(entry, '', found);
  return found;
}

async function walk(entry: FileSystemEntry, folder: string, found: Picked[]): Promise<void> {
  const path = `${folder}${entry.name}`;
  if (entry instanceof FileSystemFileEntry) {
    const file = await new Promise<File>((settle, fail) => entry.file(settle, fail));
    found.push({ path, file });
    return;
  }
  if (!(entry instanceof FileSystemDirectoryEntry)) return;
  const reader = entry.createReader();
  for (;;) {
    // A reader gives a part at a time.
    const part = await new Promise<FileSystemEntry[]>((settle, fail) =>
      reader.readEntries(settle, fail),
    );
    if (part.length === 0) return;
    for (const one of part) await walk(one, `${path}/`, found);
  }
}

/** The bundle among them: a zip, a folder, or its files side by side. */
export async function readBundle(picked: readonly Picked[]): Promise<Result<BundleFiles, string>> {
  const [only] = picked;
  if (picked.length === 1 && only !== undefined && only.path.endsWith('.zip'))
    return unzipBundle(new Uint8Array(await only.file.arrayBuffer()));
  const certificate = picked.find(({ path }) => /(^|\/)certificate\.json$/.test(path));
  if (certificate === undefined)
    return err('there is no certificate.json: drop the whole folder of a bundle, or its .zip');
  const root = certificate.path.slice(0, -'certificate.json'.length);
  const files = new Map<string, Uint8Array>();
  const sizes = picked.map(({ file }) => file.size);
  if (sizes.reduce((sum, size) => sum + size, 0) > BUNDLE_BYTES_MAX) return err(TOO_LARGE);
  if (sizes.some((size) => size > FILE_BYTES_MAX)) return err(TOO_LARGE);
  for (const { path, file } of picked) {
    const name = path.startsWith(root) ? path.slice(root.length) : path;
    if (isHiddenName(name)) continue;
    files.set(name, new Uint8Array(await file.arrayBuffer()));
  }
  return ok(files);
}
