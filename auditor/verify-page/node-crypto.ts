/**
 * As much of node:crypto as the verifier uses, for browsers: SHA-256 by @noble/hashes, Ed25519 by WebCrypto. A browser
 * answers later, and the verifier asks at once: so what is asked is noted and denied, answered, and the verifier runs
 * again, until it asks nothing new (answerSignatures).
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { Buffer, plain } from './buffer.ts';

type Data = string | Uint8Array;
type Encoding = 'hex' | 'binary' | 'base64';

interface PublicKey {
  /** The 32 bytes, base64url. */
  readonly x: string;
}

const bytesOf = (data: Data): Uint8Array =>
  typeof data === 'string' ? utf8ToBytes(data) : plain(data);

/** crypto.hash, of SHA-256. */
export function hash(_: 'sha256', data: Data, encoding: Encoding): string {
  return Buffer.from(sha256(bytesOf(data))).toString(encoding);
}

interface Running {
  update(data: Data): Running;
  digest(encoding: Encoding): string;
}

/** crypto.createHash, of SHA-256. */
export function createHash(_: 'sha256'): Running {
  return running(sha256.create());
}

/** crypto.createHmac, of SHA-256. */
export function createHmac(_: 'sha256', key: Uint8Array): Running {
  return running(hmac.create(sha256, plain(key)));
}

function running(
  state: ReturnType<typeof sha256.create> | ReturnType<typeof hmac.create>,
): Running {
  const self: Running = {
    update: (data) => {
      state.update(bytesOf(data));
      return self;
    },
    digest: (encoding) => Buffer.from(state.digest()).toString(encoding),
  };
  return self;
}

export function createPublicKey({ key }: { readonly key: { readonly x: string } }): PublicKey {
  return { x: key.x };
}

interface Asked {
  readonly key: PublicKey;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

const answers = new Map<string, boolean>();
const asked = new Map<string, Asked>();

/** crypto.verify: what is known by now; no, where it is not known yet. */
export function verify(
  _: null,
  message: Uint8Array,
  key: PublicKey,
  signature: Uint8Array,
): boolean {
  const name = `${key.x} ${hash('sha256', message, 'hex')} ${Buffer.from(signature).toString('hex')}`;
  if (!answers.has(name))
    asked.set(name, { key, message: plain(message), signature: plain(signature) });
  return answers.get(name) ?? false;
}

/** Answers what was asked; false: nothing was. Rejects where the browser knows no Ed25519. */
export async function answerSignatures(): Promise<boolean> {
  const all = [...asked];
  asked.clear();
  for (const [name, { key, message, signature }] of all) {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: key.x };
    const imported = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['verify']);
    answers.set(
      name,
      await crypto.subtle.verify('Ed25519', imported, signature.slice(), message.slice()),
    );
  }
  return all.length > 0;
}

/** Nothing here signs. */
export function sign(): never {
  throw new Error('this page signs nothing');
}
export const createPrivateKey: typeof sign = sign;
