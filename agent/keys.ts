/**
 * The agent's keys: the HMAC key of the redaction tokens and the Ed25519 signing key. Missing ones
 * are generated at the first start (0600), and the caller is told, since losing them matters.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { chmod, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { parseRedactionKey } from '../redaction/redaction.ts';
import type { Config } from '../schemas/config.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';

export interface AgentKeys {
  readonly redaction: Uint8Array;
  readonly signing: KeyObject;
  /** Base64 of the 32 raw bytes of the Ed25519 public key. */
  readonly publicKey: string;
  /** Files that did not exist before. */
  readonly generated: readonly string[];
}

export interface KeyError {
  readonly kind: 'key';
  readonly message: string;
}

const REDACTION_KEY_BYTES = 32;

/** Loads both keys, generating those that are missing where the configuration allows it. */
export async function loadKeys(config: Config['keys']): Promise<Result<AgentKeys, KeyError>> {
  const generated: string[] = [];
  try {
    const redactionText = await readOrCreate(
      config.redaction_key_file,
      config.generate,
      generated,
      () => randomBytes(REDACTION_KEY_BYTES).toString('hex') + '\n',
    );
    const redaction = parseRedactionKey(redactionText);
    if (!redaction.ok)
      return err({
        kind: 'key',
        message: `${config.redaction_key_file}: ${redaction.error.message}`,
      });
    const signingText = await readOrCreate(
      config.signing_key_file,
      config.generate,
      generated,
      () =>
        generateKeyPairSync('ed25519')
          .privateKey.export({ type: 'pkcs8', format: 'pem' })
          .toString(),
    );
    const signing = createPrivateKey(signingText);
    if (signing.asymmetricKeyType !== 'ed25519') {
      return err({
        kind: 'key',
        message: `${config.signing_key_file} holds no Ed25519 key; make one with \`openssl genpkey -algorithm ed25519\``,
      });
    }
    return ok({ redaction: redaction.value, signing, publicKey: rawPublicKey(signing), generated });
  } catch (error) {
    // Never the content: createPrivateKey's messages do not quote it.
    return err({ kind: 'key', message: `cannot load the keys: ${messageOf(error)}` });
  }
}

async function readOrCreate(
  path: string,
  mayGenerate: boolean,
  generated: string[],
  make: () => string,
): Promise<string> {
  try {
    await closeToOthers(path);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || !mayGenerate) throw error;
  }
  await nodeFilesystem.makeDir(dirname(path));
  const text = make();
  // Whole or not at all: with half a key no later start would get past it.
  await nodeFilesystem.replace(path, text);
  generated.push(path);
  return text;
}

/** Rights that an operator's mount gives and nobody here may change; who set them up answers for them. */
const NOT_OURS: ReadonlySet<string> = new Set(['EPERM', 'EROFS', 'EACCES']);

/** A key that others can read is no key: mended rather than warned about. */
async function closeToOthers(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  try {
    await chmod(path, 0o600);
  } catch (error) {
    if (!NOT_OURS.has(codeOf(error))) throw error;
  }
}

function rawPublicKey(key: KeyObject): string {
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.from(x ?? '', 'base64url').toString('base64');
}
