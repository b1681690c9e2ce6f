/** Bundles as their files, and what somebody makes of them who knows what the manifest is for. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FILES } from '../../auditor/bundle/names.ts';
import type { BundleCheck } from '../../auditor/check/bundle.ts';
import { sha256Of, type BundleFiles } from '../../auditor/check/files.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';

/** The files of a folder. */
export async function readFolder(dir: string): Promise<BundleFiles> {
  const files = new Map<string, Uint8Array>();
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name);
      files.set(path.slice(dir.length + 1), await readFile(path));
    }
  return files;
}

export type Changes = Readonly<Record<string, string | ((text: string) => string) | null>>;

/** A copy with files changed, and the manifest made anew. */
export function forgeBundle(whole: BundleFiles, changes: Changes): BundleFiles {
  const files = new Map(whole);
  for (const [name, change] of Object.entries(changes)) {
    const before = Buffer.from(files.get(name) ?? '').toString();
    if (change === null) files.delete(name);
    else files.set(name, Buffer.from(typeof change === 'string' ? change : change(before)));
  }
  files.delete(FILES.manifest);
  const lines = [...files].map(([name, bytes]) => `${sha256Of(bytes)}  ${name}\n`).sort();
  return files.set(FILES.manifest, Buffer.from(lines.join('')));
}

/** What failed, and the row where it is one. */
export function failedOf({ lines }: BundleCheck): string[] {
  return lines
    .filter(({ state }) => state === 'failed')
    .map(({ what, row }) => `${what} ${row ?? ''}`.trim());
}

export function textOfFile(files: BundleFiles, name: string): string {
  return Buffer.from(files.get(name) ?? '').toString();
}

export function certificateOf(files: BundleFiles): Certificate {
  return JSON.parse(textOfFile(files, FILES.certificate)) as Certificate;
}
