/**
 * What the agent keeps of its keys on disk, beside the keys themselves: the text of the keys note, and while a
 * rotation is under way, which. All of it is replaced whole and is no secret.
 *
 *   <data_dir>/keys/windows.txt     the text that the root signs (ledger/keys-note.ts)
 *   <data_dir>/keys/rotation.json   {"from":"<vkey>","to":"<vkey>"}; there: it is to be completed
 *   <signing_key_file>.next         the key that takes over
 */
import { dirname, join } from 'node:path';
import type { Filesystem } from '../ledger/filesystem.ts';
import { formatKeys, parseKeys, type Keys } from '../ledger/keys-note.ts';
import { readJson } from '../schemas/untrusted-json.ts';

export interface Rotation {
  readonly from: string;
  readonly to: string;
}

export interface KeyFiles {
  /** Null: no key was ever replaced or revoked. Rejects when the file is damaged. */
  readKeys(): Promise<Keys | null>;
  writeKeys(keys: Keys): Promise<void>;
  /** Null: none is under way. */
  readRotation(): Promise<Rotation | null>;
  beginRotation(rotation: Rotation): Promise<void>;
  endRotation(): Promise<void>;
}

/** Where the text of the keys note lies. */
export function windowsPath(dataDir: string): string {
  return join(dataDir, 'keys', 'windows.txt');
}

/** Where the next key of a key file lies. */
export function nextKeyPath(keyFile: string): string {
  return `${keyFile}.next`;
}

/** The files in a data directory. Every method rejects with the system's error. */
export function createKeyFiles(filesystem: Filesystem, dataDir: string): KeyFiles {
  const windows = windowsPath(dataDir);
  const rotation = join(dataDir, 'keys', 'rotation.json');

  async function read(path: string): Promise<string | null> {
    return (await filesystem.exists(path)) ? (await filesystem.readFile(path)).toString() : null;
  }

  async function write(path: string, text: string): Promise<void> {
    await filesystem.makeDir(dirname(path));
    await filesystem.replace(path, text);
  }

  return {
    readKeys: async () => {
      const text = await read(windows);
      if (text === null) return null;
      const keys = parseKeys(text);
      if (keys.ok) return keys.value;
      throw new Error(`${windows}: ${keys.error}; put it back from the signed note or a backup`);
    },
    writeKeys: (keys) => write(windows, formatKeys(keys)),
    readRotation: async () => {
      const text = await read(rotation);
      if (text === null) return null;
      const value = readJson(text);
      const { from, to } = (value ?? {}) as Record<string, unknown>;
      if (typeof from !== 'string' || typeof to !== 'string')
        throw new Error(`${rotation} is damaged; put it back from a backup`);
      return { from, to };
    },
    beginRotation: (one) => write(rotation, `${JSON.stringify(one)}\n`),
    endRotation: async () => {
      await filesystem.remove(rotation);
      await filesystem.syncDir(dirname(rotation));
    },
  };
}

/** Lets the next key take the place of a key file, which is destroyed with that. Once more is no harm. */
export async function promoteKey(filesystem: Filesystem, keyFile: string): Promise<void> {
  const next = nextKeyPath(keyFile);
  if (await filesystem.exists(next)) await filesystem.rename(next, keyFile);
  await filesystem.syncDir(dirname(keyFile));
}
