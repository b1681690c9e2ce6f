/**
 * HPKE, RFC 9180, base mode, one message a key: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Whoever
 * has the public key can seal and cannot open. Pure, but for the randomness of a seal.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';

/** Bytes of a raw X25519 key, public or private. */
export const HPKE_KEY_BYTES = 32;
const TAG_BYTES = 16;

/** DER around a raw key (RFC 8410). */
const PRIVATE_DER = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC_DER = Buffer.from('302a300506032b656e032100', 'hex');

const VERSION = Buffer.from('HPKE-v1');
const KEM_SUITE = Buffer.from('KEM\x00\x20', 'latin1');
const HPKE_SUITE = Buffer.from('HPKE\x00\x20\x00\x01\x00\x02', 'latin1');
const EMPTY = Buffer.alloc(0);
const MODE_BASE = Buffer.from([0]);

/** A new private key. */
export function generatePrivateKey(): KeyObject {
  return generateKeyPairSync('x25519').privateKey;
}

/** Seals to a public key: 32 bytes of encapsulated key, then ciphertext and tag. */
export function seal(
  publicKey: KeyObject,
  info: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  ephemeral: KeyObject = generatePrivateKey(),
): Buffer {
  const own = rawPublic(createPublicKey(ephemeral));
  const secret = diffieHellman({ privateKey: ephemeral, publicKey });
  const { key, nonce } = schedule(secret, own, rawPublic(publicKey), info);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad);
  return Buffer.concat([own, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what was sealed to the key. Throws for another key, other info or aad, or one changed bit. */
export function open(
  privateKey: KeyObject,
  info: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Buffer {
  if (sealed.length < HPKE_KEY_BYTES + TAG_BYTES) throw new Error('the sealed text is too short');
  const encapsulated = sealed.subarray(0, HPKE_KEY_BYTES);
  const secret = diffieHellman({ privateKey, publicKey: importPublic(encapsulated) });
  const recipient = rawPublic(createPublicKey(privateKey));
  const { key, nonce } = schedule(secret, encapsulated, recipient, info);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(aad)
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([
    decipher.update(sealed.subarray(HPKE_KEY_BYTES, -TAG_BYTES)),
    decipher.final(),
  ]);
}

/** Sections 4.1 (KEM) and 5.1 (key schedule): key and nonce of the first and only message. */
function schedule(
  secret: Uint8Array,
  encapsulated: Uint8Array,
  recipient: Uint8Array,
  info: Uint8Array,
): { readonly key: Buffer; readonly nonce: Buffer } {
  const parties = Buffer.concat([encapsulated, recipient]);
  const eae = extract(KEM_SUITE, EMPTY, 'eae_prk', secret);
  const shared = expand(KEM_SUITE, eae, 'shared_secret', parties, 32);
  const context = Buffer.concat([
    MODE_BASE,
    extract(HPKE_SUITE, EMPTY, 'psk_id_hash', EMPTY),
    extract(HPKE_SUITE, EMPTY, 'info_hash', info),
  ]);
  const root = extract(HPKE_SUITE, shared, 'secret', EMPTY);
  return {
    key: expand(HPKE_SUITE, root, 'key', context, 32),
    nonce: expand(HPKE_SUITE, root, 'base_nonce', context, 12),
  };
}

/** LabeledExtract; an empty salt is a key of zeros to HMAC. */
function extract(suite: Uint8Array, salt: Uint8Array, label: string, input: Uint8Array): Buffer {
  return createHmac('sha256', salt)
    .update(VERSION)
    .update(suite)
    .update(label)
    .update(input)
    .digest();
}

/** LabeledExpand, of up to 32 bytes: one block of HKDF. */
function expand(
  suite: Uint8Array,
  key: Uint8Array,
  label: string,
  info: Uint8Array,
  bytes: number,
): Buffer {
  return createHmac('sha256', key)
    .update(Buffer.from([0, bytes]))
    .update(VERSION)
    .update(suite)
    .update(label)
    .update(info)
    .update(Buffer.from([1]))
    .digest()
    .subarray(0, bytes);
}

/** A private key of 32 raw bytes. Reading keys costs more than all the rest: keep them. */
export function importPrivate(raw: Uint8Array): KeyObject {
  const key = Buffer.concat([PRIVATE_DER, raw]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

/** A public key of 32 raw bytes. */
export function importPublic(raw: Uint8Array): KeyObject {
  const key = Buffer.concat([PUBLIC_DER, raw]);
  return createPublicKey({ key, format: 'der', type: 'spki' });
}

/** The 32 bytes of a private key. */
export function rawPrivate(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' }).subarray(-HPKE_KEY_BYTES);
}

/** The 32 bytes of a public key. */
export function rawPublic(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(-HPKE_KEY_BYTES);
}
