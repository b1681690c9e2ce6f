/** The files of a bundle on disk, each with its digest; nothing that is there is written over. I/O. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const CHUNK_BYTES = 1 << 16;

export interface BundleFile {
  write(text: string): void;
  end(): void;
}

export interface BundleDisk {
  /** Begins a file; it MUST be ended. Throws the system's error, also where the file is there. */
  begin(name: string): BundleFile;
  put(name: string, content: string | Uint8Array): void;
  /** Digests so far, by name. */
  digests(): ReadonlyMap<string, string>;
}

/** Opens a new folder; throws where it holds something already. */
export function openBundleDisk(dir: string): BundleDisk {
  mkdirSync(dir, { recursive: true });
  if (readdirSync(dir).length > 0) throw new Error(`${dir} is not empty: name a new folder`);
  const digests = new Map<string, string>();
  const folders = new Set<string>();

  function begin(name: string): BundleFile {
    const path = join(dir, name);
    const folder = dirname(path);
    if (!folders.has(folder)) mkdirSync(folder, { recursive: true });
    folders.add(folder);
    const file = openSync(path, 'wx', 0o644);
    const hash: Hash = createHash('sha256');
    let waiting = '';
    const flush = (): void => {
      const bytes = Buffer.from(waiting);
      waiting = '';
      hash.update(bytes);
      writeAll(file, bytes);
    };
    return {
      write: (text) => {
        waiting += text;
        if (waiting.length >= CHUNK_BYTES) flush();
      },
      end: () => {
        flush();
        closeSync(file);
        digests.set(name, hash.digest('hex'));
      },
    };
  }

  return {
    begin,
    put: (name, content) => {
      const folder = dirname(join(dir, name));
      if (!folders.has(folder)) mkdirSync(folder, { recursive: true });
      folders.add(folder);
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      const file = openSync(join(dir, name), 'wx', 0o644);
      writeAll(file, bytes);
      closeSync(file);
      digests.set(name, createHash('sha256').update(bytes).digest('hex'));
    },
    digests: () => digests,
  };
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
