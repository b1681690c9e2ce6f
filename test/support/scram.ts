/**
 * The server's side of SCRAM, written from RFC 5802 (the exchange) and RFC 7677 (SHA-256): strict in what it takes,
 * and it holds what RFC 5802 section 3 says to store, never the password. One exchange each.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

export type ScramHash = 'sha256' | 'sha512';

export interface ScramAccount {
  readonly hash: ScramHash;
  readonly username: string;
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export interface ScramExchange {
  /** The server's first message; null: the client's is not in order, or of another user. */
  first(message: string): string | null;
  /** The server's final message; null: the client has not shown that it knows the password. */
  final(message: string): string | null;
}

const bytesOf = (hash: ScramHash): number => (hash === 'sha256' ? 32 : 64);
const hmac = (hash: ScramHash, key: Buffer, text: string): Buffer =>
  createHmac(hash, key).update(text).digest();

/** What a server stores of a password. */
export function createAccount(
  hash: ScramHash,
  username: string,
  password: string,
  {
    salt = randomBytes(16),
    iterations = 4_096,
  }: { readonly salt?: Buffer; readonly iterations?: number } = {},
): ScramAccount {
  const salted = pbkdf2Sync(password, salt, iterations, bytesOf(hash), hash);
  const storedKey = createHash(hash)
    .update(hmac(hash, salted, 'Client Key'))
    .digest();
  const serverKey = hmac(hash, salted, 'Server Key');
  return { hash, username, salt, iterations, storedKey, serverKey };
}

/** Begins an exchange; `nonce` is the server's part. */
export function beginScram(
  account: ScramAccount,
  nonce: string = randomBytes(18).toString('base64'),
): ScramExchange {
  const { hash, salt, iterations, storedKey, serverKey } = account;
  let isBegun = false;
  let bare = '';
  let challenge = '';
  let joined = '';
  return {
    first: (message) => {
      // No channel binding ("n"), no other identity; a name's "=" and "," are escaped (section 5.1).
      const [, name, client] =
        /^n,,n=((?:[^=,\0]|=2C|=3D)+),r=([\x21-\x2b\x2d-\x7e]+)$/.exec(message) ?? [];
      const username = name?.replaceAll('=2C', ',').replaceAll('=3D', '=');
      if (isBegun || client === undefined || username !== account.username) return null;
      isBegun = true;
      bare = message.slice('n,,'.length);
      joined = client + nonce;
      challenge = `r=${joined},s=${salt.toString('base64')},i=${iterations}`;
      return challenge;
    },
    final: (message) => {
      const [, unproven, echoed, text] =
        /^(c=biws,r=([^,]+)),p=([A-Za-z0-9+/]+={0,2})$/.exec(message) ?? [];
      const proof = Buffer.from(text ?? '', 'base64');
      if (joined === '' || echoed !== joined || proof.length !== bytesOf(hash)) return null;
      const whole = `${bare},${challenge},${unproven}`;
      const signature = hmac(hash, storedKey, whole);
      const clientKey = proof.map((byte, at) => byte ^ (signature[at] ?? 0));
      joined = '';
      if (!createHash(hash).update(clientKey).digest().equals(storedKey)) return null;
      return `v=${hmac(hash, serverKey, whole).toString('base64')}`;
    },
  };
}
