/** What a person who checks a proof trusts: a trust file, or a keys note and the root that has signed it. */
import { readFile } from 'node:fs/promises';
import { openKeysNote, trustOf } from '../ledger/keys-note.ts';
import { parseVkey } from '../ledger/signing.ts';
import { parseTrust, type Trust } from '../ledger/trust.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';

/** Reads both; `root` is the root's public key, or a file that begins with it. */
export async function readTrust(
  path: string,
  root: string | undefined,
): Promise<Result<Trust, string>> {
  try {
    const text = await readFile(path, 'utf8');
    if (!text.startsWith('sealtrail/keys/')) {
      if (root !== undefined)
        return err(`${path} is no keys note: no root has signed it; leave --root away to trust it`);
      const trust = parseTrust(text);
      return trust.ok ? trust : err(`${path}: ${trust.error}`);
    }
    if (root === undefined)
      return err(`${path} is a keys note: name the public key of the root that signed it, --root`);
    const key = parseVkey(await readRoot(root));
    if (!key.ok) return err(`--root: ${key.error}`);
    const keys = openKeysNote(text, key.value);
    return keys.ok ? ok(trustOf(keys.value)) : err(`${path}: ${keys.error}`);
  } catch (error) {
    return err(messageOf(error));
  }
}

async function readRoot(root: string): Promise<string> {
  try {
    const [first = ''] = (await readFile(root, 'utf8')).split('\n');
    return first.trim();
  } catch (error) {
    // A key is no path of a file: its base64 may hold a slash.
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(codeOf(error))) return root;
    throw error;
  }
}
