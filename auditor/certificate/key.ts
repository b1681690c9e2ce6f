/**
 * The key with which an auditor signs certificates: a file with its name in the first line and the private key behind it,
 * readable for its owner alone.
 *
 *   # auditor/alice
 *   -----BEGIN PRIVATE KEY-----
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import {
  createLogSigner,
  isKeyName,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../../ledger/signing.ts';
import { isAgentKey } from '../../ledger/trust.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';

const NAME = /^# (\S+)\n/;

/** Creates a key in a new file; the error says what stands against it. */
export async function createCertificateKey(
  path: string,
  name: string,
): Promise<Result<NoteSigner, string>> {
  if (!isKeyName(name)) return err('a key has a name without blanks or plus signs');
  if (isAgentKey({ name }))
    return err('sealtrail/… are keys of agents, which sign no certificates');
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  try {
    await writeFile(path, `# ${name}\n${pem}`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    return err(messageOf(error));
  }
  return readCertificateKey(path);
}

/** Reads a key. */
export async function readCertificateKey(path: string): Promise<Result<NoteSigner, string>> {
  try {
    const text = await readFile(path, 'utf8');
    const [, name] = NAME.exec(text) ?? [];
    if (name === undefined || !isKeyName(name) || isAgentKey({ name }))
      return err(`${path} does not begin with the name of its key, # auditor/alice`);
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType !== 'ed25519') return err(`${path} holds no Ed25519 key`);
    return ok(createLogSigner(name, publicBytesOf(key), signWithKey(key)));
  } catch (error) {
    return err(`${path}: ${messageOf(error)}`);
  }
}
