/**
 * A signing key: held by this process, or asked for by a command that stands before a KMS or an HSM. Plain data, so
 * that it can be handed to the checkpoint thread.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { decodeBase64 } from '../ledger/base64.ts';
import {
  createLogSigner,
  formatVkey,
  KEY_TYPE,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../ledger/signing.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { SignerConfig } from '../schemas/keys-config.ts';
import { signWithCommand } from './signer-command.ts';

export type SigningKey = {
  /** The 32 bytes. */
  readonly publicKey: Uint8Array;
} & (
  | { readonly kind: 'held'; readonly key: KeyObject }
  | { readonly kind: 'command'; readonly command: readonly string[]; readonly timeoutMs: number }
);

const PUBLIC_KEY_BYTES = 32;

/** Name of an agent's keys. */
export function keyNameOf(agent: string): string {
  return `sealtrail/${agent}`;
}

/** The key as a verifier knows it. */
export function vkeyOf(agent: string, { publicKey }: SigningKey): string {
  return formatVkey(keyNameOf(agent), KEY_TYPE.log, publicKey);
}

/** Signs checkpoints with the key. */
export function createSigner(agent: string, key: SigningKey): NoteSigner {
  const sign = key.kind === 'held' ? signWithKey(key.key) : signWithCommand(key);
  return createLogSigner(keyNameOf(agent), key.publicKey, sign);
}

/** A new private key, PKCS#8 PEM. */
export function makeKeyText(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Reads a private key; `where` names it for the operator, who is never shown its text. */
export function parseSigningKey(text: string, where: string): Result<SigningKey, string> {
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === 'ed25519')
      return ok({ kind: 'held', key, publicKey: Uint8Array.from(publicBytesOf(key)) });
    return err(
      `${where} holds no Ed25519 key; make one with \`openssl genpkey -algorithm ed25519\``,
    );
  } catch (error) {
    // createPrivateKey's messages do not quote the key.
    return err(`${where} holds no private key in PEM: ${messageOf(error)}`);
  }
}

/** The key behind a command. */
export function commandKey({
  command,
  public_key,
  timeout_ms,
}: SignerConfig): Result<SigningKey, string> {
  const publicKey = parsePublicKey(public_key);
  if (publicKey === null) return err('the public_key of the signer is no Ed25519 key');
  return ok({ kind: 'command', command, timeoutMs: timeout_ms, publicKey });
}

/** Reads an Ed25519 public key, PEM or base64 of its 32 bytes; null when it is none. */
export function parsePublicKey(text: string): Uint8Array | null {
  const raw = decodeBase64(text.trim());
  if (raw?.length === PUBLIC_KEY_BYTES) return Uint8Array.from(raw);
  try {
    const key = createPublicKey(text);
    return key.asymmetricKeyType === 'ed25519' ? Uint8Array.from(publicBytesOf(key)) : null;
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}
