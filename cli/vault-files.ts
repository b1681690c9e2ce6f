/**
 * The vault's key files, both 0600: the administrator's, which opens envelopes, and beside it what applications
 * get. Written whole and synced before the database hears of a version: a key that is lost opens nothing.
 */
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  formatVaultKeys,
  parseVaultKeys,
  type VaultKey,
  type VaultKeyRing,
} from '../redaction/subjects/vault-keys.ts';
import { rawPublic } from '../redaction/subjects/hpke.ts';
import type { KeyVersion } from '../store/vault/key-versions.ts';
import { codeOf, err, messageOf, type Result } from '../schemas/result.ts';

/** What stands after the name of the administrator's file in that of the applications'. */
const FOR_APPLICATIONS = '.application';

/** Default of --keys. */
export function defaultKeyFile(): string {
  return process.env['SEALTRAIL_VAULT_KEY_FILE'] || 'vault/vault.keys';
}

/** Where applications have their keys from. */
export function applicationFileOf(path: string): string {
  return `${path}${FOR_APPLICATIONS}`;
}

/** Reads a file of keys, of either sort. */
export async function readKeyFile(path: string): Promise<Result<VaultKeyRing, string>> {
  try {
    const ring = parseVaultKeys(await readFile(path, 'utf8'));
    return ring.ok ? ring : err(`${path}: ${ring.error}`);
  } catch (error) {
    return err(`the vault's keys cannot be read: ${messageOf(error)}; name their file with --keys`);
  }
}

/** The keys of the file; none where there is no file. */
export async function readKeysIfAny(path: string): Promise<Result<readonly VaultKey[], string>> {
  try {
    await readFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { ok: true, value: [] };
  }
  return readKeyFile(path);
}

/**
 * What is wrong with a file's keys beside what the vault knows; null: nothing. With an old file people would not be
 * found who are there, and a new version would be taken for one that others made.
 */
export function findKeyFault(
  ring: readonly VaultKey[],
  live: readonly Pick<KeyVersion, 'version' | 'publicKey'>[],
): string | null {
  for (const { version, publicKey } of live) {
    const own = ring.find((key) => key.version === version);
    if (own === undefined)
      return `the key file lacks ${version}, which the vault uses: it is an old one`;
    if (!rawPublic(own.publicKey).equals(publicKey))
      return `${version} of the key file is another key than the vault's`;
  }
  return null;
}

/** Writes both files. Throws what the system throws; the old ones are whole then. */
export async function writeKeyFiles(path: string, ring: readonly VaultKey[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeDurably(path, formatVaultKeys(ring, 'administrator'));
  await writeDurably(applicationFileOf(path), formatVaultKeys(ring, 'application'));
}

async function writeDurably(path: string, text: string): Promise<void> {
  const next = `${path}.new`;
  // One that was left there may be another's to read.
  await rm(next, { force: true });
  await writeFile(next, text, { mode: 0o600, flag: 'wx', flush: true });
  await rename(next, path);
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
