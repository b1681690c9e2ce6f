/**
 * The agent's keys: the HMAC key of the redaction tokens and the Ed25519 signing key, with the one that is to take
 * over from it. Missing ones are generated at the first start (0600), and the caller is told, since losing them
 * matters.
 */
import { randomBytes } from 'node:crypto';
import { chmod, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nodeFilesystem, type Filesystem } from '../ledger/filesystem.ts';
import { parseRedactionKey } from '../redaction/redaction.ts';
import type { KeysConfig, SigningKeyConfig } from '../schemas/keys-config.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import { nextKeyPath } from './key-files.ts';
import { commandKey, makeKeyText, parseSigningKey, type SigningKey } from './signing-key.ts';

export interface AgentKeys {
  readonly redaction: Uint8Array;
  readonly signing: SigningKey;
  /** The key that is to take over; null where there is none yet. */
  readonly next: SigningKey | null;
  /** Files that did not exist before. */
  readonly generated: readonly string[];
  /** What is wrong with who may read them. */
  readonly complaints: readonly string[];
}

export interface KeyError {
  readonly kind: 'key';
  readonly message: string;
}

export interface LoadOptions {
  /** Whether it is known which key signs: then a signing key that is missing is not made anew. */
  readonly isKeyKnown?: boolean;
  readonly filesystem?: Filesystem;
}

const REDACTION_KEY_BYTES = 32;

interface Seen {
  readonly filesystem: Filesystem;
  readonly generated: string[];
  readonly complaints: string[];
}

/** Loads the keys, generating those that are missing where the configuration allows it. */
export async function loadKeys(
  config: KeysConfig,
  { isKeyKnown = false, filesystem = nodeFilesystem }: LoadOptions = {},
): Promise<Result<AgentKeys, KeyError>> {
  const seen: Seen = { filesystem, generated: [], complaints: [] };
  const { generated, complaints } = seen;
  const makeRedactionKey = (): string => randomBytes(REDACTION_KEY_BYTES).toString('hex') + '\n';
  const makeSigningKey = config.generate && !isKeyKnown ? makeKeyText : null;
  try {
    const path = config.redaction_key_file;
    const text = await readOrCreate(path, seen, config.generate ? makeRedactionKey : null);
    const redaction = parseRedactionKey(text);
    if (!redaction.ok) return err({ kind: 'key', message: `${path}: ${redaction.error.message}` });
    const signing = await loadSigningKey(config, seen, makeSigningKey);
    if (!signing.ok) return err({ kind: 'key', message: signing.error });
    const next = await loadNext(config, seen);
    if (!next.ok) return err({ kind: 'key', message: next.error });
    return ok({
      redaction: redaction.value,
      signing: signing.value,
      next: next.value,
      generated,
      complaints,
    });
  } catch (error) {
    return err({ kind: 'key', message: `cannot load the keys: ${messageOf(error)}` });
  }
}

/** Makes the key that is to take over from a key file, where it is not there yet. */
export async function makeNextKey(
  filesystem: Filesystem,
  keyFile: string,
): Promise<Result<SigningKey, string>> {
  const seen: Seen = { filesystem, generated: [], complaints: [] };
  return loadSigningKey({ signing_key_file: nextKeyPath(keyFile) }, seen, makeKeyText);
}

async function loadNext(
  { next, signing_key_file }: KeysConfig,
  seen: Seen,
): Promise<Result<SigningKey | null, string>> {
  if (next !== undefined) return loadSigningKey(next, seen, null);
  if (signing_key_file === undefined) return ok(null);
  const prepared = { signing_key_file: nextKeyPath(signing_key_file) };
  if (!(await seen.filesystem.exists(prepared.signing_key_file))) return ok(null);
  return loadSigningKey(prepared, seen, null);
}

async function loadSigningKey(
  { signing_key_file: path = '', signing_key, signer }: SigningKeyConfig,
  seen: Seen,
  make: (() => string) | null,
): Promise<Result<SigningKey, string>> {
  if (signer !== undefined) return commandKey(signer);
  if (signing_key !== undefined) return parseSigningKey(signing_key, 'keys.signing_key');
  return parseSigningKey(await readOrCreate(path, seen, make), path);
}

async function readOrCreate(
  path: string,
  { filesystem, generated, complaints }: Seen,
  make: (() => string) | null,
): Promise<string> {
  try {
    const complaint = await closeToOthers(path);
    if (complaint !== null) complaints.push(complaint);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || make === null) throw error;
  }
  await filesystem.makeDir(dirname(path));
  const text = make();
  // Whole or not at all: with half a key no later start would get past it.
  await filesystem.replace(path, text);
  generated.push(path);
  return text;
}

/** Rights that an operator's mount gives and nobody here may change; who set them up answers for them. */
const NOT_OURS: ReadonlySet<string> = new Set(['EPERM', 'EROFS', 'EACCES']);

/** A key that others can read is no key: mended, and told. */
async function closeToOthers(path: string): Promise<string | null> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return null;
  const open = `${path} could be read by others (mode 0${(mode & 0o777).toString(8)})`;
  try {
    await chmod(path, 0o600);
    return `${open} and is closed to them now; if somebody may have read it, replace the key`;
  } catch (error) {
    if (!NOT_OURS.has(codeOf(error))) throw error;
    return `${open}, and the mount forbids to change that; give it mode 0600 where it is mounted`;
  }
}
