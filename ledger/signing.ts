/**
 * Keys of signed notes (C2SP signed-note, tlog-cosignature): their text form, signing and verifying.
 * Ed25519 by node:crypto, which refuses malleable signatures (RFC 8032, not ZIP-215).
 *
 *   vkey    <name>+<key id, 8 hex>+<base64 of: type byte, 32 bytes of public key>
 *   key id  first 4 bytes of SHA-256(name || 0x0A || type byte || public key)
 *
 *   type 0x01  Ed25519 over the note's text: logs
 *   type 0x04  Ed25519 over "cosignature/v1\ntime <T>\n" and the text: witnesses; T before the signature
 *
 * Anything newer (ML-DSA is 0x06) is another type byte.
 */
import * as crypto from 'node:crypto';
import { err, ok, type Result } from '../schemas/result.ts';
import { decodeBase64 } from './base64.ts';

export const KEY_TYPE = { log: 0x01, witness: 0x04 } as const;
export type KeyType = (typeof KEY_TYPE)[keyof typeof KEY_TYPE];

/** What both sides know of a key. */
export interface KeyIdentity {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly id: string;
  readonly type: KeyType;
}

export interface NoteVerifier extends KeyIdentity {
  /** The key as text. */
  readonly vkey: string;
  /** Whether these bytes sign the text. A cosignature's bytes begin with its time. */
  verify(text: string, signature: Uint8Array): boolean;
}

export interface NoteSigner extends KeyIdentity {
  readonly vkey: string;
  /** The bytes that follow the key id in a signature line. */
  sign(text: string): Promise<Uint8Array>;
}

/** Signs bytes with Ed25519: in this process, or by asking a KMS. MUST give 64 bytes. */
export type SignBytes = (message: Uint8Array) => Promise<Uint8Array>;

const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const TIME_BYTES = 8;
const VKEY = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/;
const NOT_IN_A_NAME = /[\p{White_Space}\p{Cs}+]/u;

/** Whether a key may have this name: not empty, no white space, no plus sign. */
export function isKeyName(name: string): boolean {
  return name !== '' && !NOT_IN_A_NAME.test(name);
}

/** Writes a public key of 32 bytes as text. */
export function formatVkey(name: string, type: KeyType, publicKey: Uint8Array): string {
  const key = Buffer.concat([Uint8Array.of(type), publicKey]);
  return `${name}+${keyIdOf(name, key)}+${key.toString('base64')}`;
}

/** A key's type and public half in base64, which may hold plus signs as well; empty when the text is no key. */
export function keyTextOf(vkey: string): string {
  return VKEY.exec(vkey)?.[3] ?? '';
}

/** Reads a key; the error says what is wrong with it. */
export function parseVkey(vkey: string): Result<NoteVerifier, string> {
  const [, name, id, text] = VKEY.exec(vkey) ?? [];
  if (name === undefined || id === undefined || text === undefined || !isKeyName(name))
    return err('a key is written <name>+<8 hex digits>+<base64>');
  const bytes = decodeBase64(text);
  if (bytes === null) return err(`the key of ${name} is no canonical base64`);
  if (keyIdOf(name, bytes) !== id) return err(`the key id of ${name} is not that of its key`);
  const type = Object.values(KEY_TYPE).find((known) => known === bytes[0]);
  if (type === undefined) return err(`the key of ${name} is of an unknown type`);
  if (bytes.length !== 1 + PUBLIC_KEY_BYTES) return err(`the key of ${name} has a wrong length`);
  const publicKey = publicKeyOf(bytes.subarray(1));
  return ok({
    name,
    id,
    type,
    vkey,
    verify: (said, signature) => {
      const isTimed = type === KEY_TYPE.witness;
      if (signature.length !== SIGNATURE_BYTES + (isTimed ? TIME_BYTES : 0)) return false;
      const message = isTimed ? timedText(said, readTime(signature)) : said;
      return verifyBytes(publicKey, Buffer.from(message), signature.subarray(-SIGNATURE_BYTES));
    },
  });
}

/** Verifies plain Ed25519, strictly. */
export function verifyBytes(
  key: crypto.KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return crypto.verify(null, message, key, signature);
}

/** A public key from its 32 bytes. */
export function publicKeyOf(bytes: Uint8Array): crypto.KeyObject {
  const x = Buffer.from(bytes).toString('base64url');
  return crypto.createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** The 32 bytes of a key's public half. */
export function publicBytesOf(key: crypto.KeyObject): Buffer {
  const publicKey = key.type === 'private' ? crypto.createPublicKey(key) : key;
  return Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
}

/** Signs with a private key that this process holds. */
export function signWithKey(key: crypto.KeyObject): SignBytes {
  return (message) => Promise.resolve(crypto.sign(null, message, key));
}

/** Creates the signer of a log, type 0x01. */
export function createLogSigner(
  name: string,
  publicKey: Uint8Array,
  signBytes: SignBytes,
): NoteSigner {
  const { vkey, ...identity } = identify(name, KEY_TYPE.log, publicKey);
  return { ...identity, vkey, sign: (text) => signBytes(Buffer.from(text)) };
}

/** Creates the signer of a witness, type 0x04. `nowSeconds` is the time it states. */
export function createWitnessSigner(
  name: string,
  publicKey: Uint8Array,
  signBytes: SignBytes,
  nowSeconds: () => bigint,
): NoteSigner {
  const { vkey, ...identity } = identify(name, KEY_TYPE.witness, publicKey);
  return {
    ...identity,
    vkey,
    sign: async (text) => {
      const time = nowSeconds();
      const bytes = Buffer.alloc(TIME_BYTES);
      bytes.writeBigUInt64BE(time);
      return Buffer.concat([bytes, await signBytes(Buffer.from(timedText(text, time)))]);
    },
  };
}

/** The time that a cosignature states, in seconds since the epoch. */
export function readTime(cosignature: Uint8Array): bigint {
  return Buffer.from(cosignature).readBigUInt64BE();
}

function timedText(text: string, time: bigint): string {
  return `cosignature/v1\ntime ${time}\n${text}`;
}

function identify(
  name: string,
  type: KeyType,
  publicKey: Uint8Array,
): KeyIdentity & { readonly vkey: string } {
  const vkey = formatVkey(name, type, publicKey);
  return { name, type, vkey, id: vkey.slice(name.length + 1, name.length + 9) };
}

function keyIdOf(name: string, key: Uint8Array): string {
  const hash = crypto.createHash('sha256').update(`${name}\n`).update(key);
  return hash.digest('hex').slice(0, 8);
}
