/**
 * The root key, which signs keys notes and is kept off the agent's host. A file, 0600: its public key as verifiers
 * need it on the first line, and the private key in PEM behind it.
 */
import { createPrivateKey } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeKeyText, parseSigningKey } from '../agent/signing-key.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { findBreach, formatKeys, openKeysNote, parseKeys } from '../ledger/keys-note.ts';
import { signNote } from '../ledger/note.ts';
import {
  createLogSigner,
  isKeyName,
  parseVkey,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../ledger/signing.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';

export const ROOT_NAME_DEFAULT = 'sealtrail-root';

/** Makes a root key in a file that MUST NOT exist yet; resolves with its public key. */
export async function makeRootKey(path: string, name: string): Promise<Result<string, string>> {
  if (!isKeyName(name)) return err(`a root key's name has no white space and no plus sign`);
  const pem = makeKeyText();
  const key = createPrivateKey(pem);
  const { vkey } = createLogSigner(name, publicBytesOf(key), signWithKey(key));
  try {
    const file = await nodeFilesystem.create(path);
    try {
      await file.append(Buffer.from(`${vkey}\n${pem}`));
      await file.sync();
    } finally {
      await file.close();
    }
    // Who has its public key from here on must find it after a power cut.
    await nodeFilesystem.syncDir(dirname(path));
    return ok(vkey);
  } catch (error) {
    if (codeOf(error) === 'EEXIST')
      return err(`${path} is there already; a root key is never written over`);
    return err(`cannot write ${path}: ${messageOf(error)}`);
  }
}

/** Reads a root key; one that others may read is refused. */
export async function readRootKey(path: string): Promise<Result<NoteSigner, string>> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0)
      return err(
        `${path} can be read by others (mode 0${(mode & 0o777).toString(8)}): chmod 600 it, and think of who may have read it`,
      );
    const text = await readFile(path, 'utf8');
    const key = parseSigningKey(text, path);
    if (!key.ok) return key;
    const [vkey = ''] = text.split('\n');
    const known = parseVkey(vkey);
    if (!known.ok || key.value.kind !== 'held')
      return err(
        `${path} does not begin with its public key; \`sealtrail keys init --root\` makes one`,
      );
    const sign = signWithKey(key.value.key);
    const signer = createLogSigner(known.value.name, key.value.publicKey, sign);
    return signer.vkey === vkey ? ok(signer) : err(`${path}: the two keys in it are not a pair`);
  } catch (error) {
    return err(`cannot read the root key: ${messageOf(error)}`);
  }
}

export interface SignNoteOptions {
  /** The text, as an agent keeps it in keys/windows.txt. */
  readonly text: string;
  readonly root: NoteSigner;
  /** The note that was signed last; null: this is the first. */
  readonly previous: string | null;
}

/** Signs the text of a keys note, unless it rewrites what was signed before. */
export async function signKeysNote({
  text,
  root,
  previous,
}: SignNoteOptions): Promise<Result<string, string>> {
  const keys = parseKeys(text);
  if (!keys.ok) return err(`not signed: ${keys.error}`);
  const key = parseVkey(root.vkey);
  if (!key.ok) return err(key.error);
  if (previous !== null) {
    const before = openKeysNote(previous, key.value);
    if (!before.ok) return err(`not signed: the note before is not the root's: ${before.error}`);
    if (formatKeys(before.value) === text) return ok(previous);
    const breach = findBreach(before.value, keys.value);
    if (breach !== null)
      return err(`not signed: the text does not continue the note before: ${breach}`);
  }
  return ok(await signNote(text, [root]));
}

/** The text of a file; null where there is none. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
