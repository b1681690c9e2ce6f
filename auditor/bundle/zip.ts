/**
 * A bundle as one .zip: the same files give the same bytes, since names are sorted and each has the same time. I/O.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Zip, ZipDeflate } from 'fflate';

/** The earliest that the format can state. */
const TIME = '1980-01-01T12:00:00';
const CHUNK_BYTES = 1 << 20;

/** Writes the files of a folder into a new zip file, one after the other. Throws the system's error. */
export function zipFolder(dir: string, names: readonly string[], path: string): void {
  const target = openSync(path, 'wx', 0o644);
  let failure: unknown = null;
  const zip = new Zip((error, chunk) => {
    if (error !== null) failure = error;
    else for (let at = 0; at < chunk.length;) at += writeSync(target, chunk, at);
  });
  for (const name of [...names].sort()) {
    const entry = new ZipDeflate(name, { level: 6 });
    entry.mtime = TIME;
    zip.add(entry);
    const source = openSync(join(dir, name), 'r');
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let read = readSync(source, chunk); read > 0; read = readSync(source, chunk))
      entry.push(Uint8Array.from(chunk.subarray(0, read)));
    entry.push(new Uint8Array(), true);
    closeSync(source);
  }
  zip.end();
  closeSync(target);
  if (failure !== null) throw failure as Error;
}
