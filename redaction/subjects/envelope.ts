/**
 * What the vault keeps of a person: an identity under a data key of its own (AES-256-GCM), that data key sealed
 * to the vault's master key (hpke.ts), and keyed digests by which the person is found again. Token, tenant and
 * purpose are bound to all of it. With the row gone, nothing anywhere leads from the token to the person.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { open, seal } from './hpke.ts';
import type { SubjectBinding } from './identity.ts';
import type { VaultKey, VaultKeyRing } from './vault-keys.ts';

/** The person behind a token, as the vault keeps it. */
export interface Envelope {
  /** Which version of the master key the data key is sealed to. */
  readonly keyVersion: string;
  readonly wrappedKey: Uint8Array;
  /** 12 bytes of nonce, ciphertext, 16 bytes of tag. */
  readonly identity: Uint8Array;
}

export interface TokenBinding extends SubjectBinding {
  readonly token: string;
}

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const WRAP_INFO = Buffer.from('sealtrail/subject-key/v1');

/** Seals an identity (normalized) to the newest key. */
export function sealIdentity(key: VaultKey, binding: TokenBinding, identity: string): Envelope {
  const dataKey = randomBytes(KEY_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, dataKey, nonce).setAAD(aadOf(binding));
  const sealed = [nonce, cipher.update(identity, 'utf8'), cipher.final()];
  return {
    keyVersion: key.version,
    wrappedKey: seal(key.publicKey, WRAP_INFO, aadOf(binding), dataKey),
    identity: Buffer.concat([...sealed, cipher.getAuthTag()]),
  };
}

/** Opens it. Throws without the private key of its version, and where anything was exchanged or changed. */
export function openIdentity(
  ring: VaultKeyRing,
  binding: TokenBinding,
  envelope: Envelope,
): string {
  const bytes = envelope.identity;
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const dataKey = unwrap(ring, binding, envelope);
  const decipher = createDecipheriv(CIPHER, dataKey, nonce, { authTagLength: TAG_BYTES })
    .setAAD(aadOf(binding))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  const text = [decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()];
  return Buffer.concat(text).toString('utf8');
}

/** The same identity, its data key sealed to another version of the master key. */
export function rewrap(
  ring: VaultKeyRing,
  to: VaultKey,
  binding: TokenBinding,
  envelope: Envelope,
): Envelope {
  const dataKey = unwrap(ring, binding, envelope);
  const wrappedKey = seal(to.publicKey, WRAP_INFO, aadOf(binding), dataKey);
  return { ...envelope, keyVersion: to.version, wrappedKey };
}

/** 64 hex digits by which a person (normalized) is found: another key for each tenant and purpose. */
export function lookupOf(
  key: VaultKey,
  { tenant, purpose }: SubjectBinding,
  identity: string,
): string {
  const info = `sealtrail/subject-index/v1\n${purpose}\n${tenant}`;
  const derived = hkdfSync('sha256', key.indexKey, new Uint8Array(0), info, KEY_BYTES);
  return createHmac('sha256', new Uint8Array(derived)).update(identity).digest('hex');
}

function unwrap(ring: VaultKeyRing, binding: TokenBinding, envelope: Envelope): Buffer {
  const key = ring.find(({ version }) => version === envelope.keyVersion);
  if (key === undefined || key.privateKey === null)
    throw new Error(`the private key of ${envelope.keyVersion} is not here`);
  return open(key.privateKey, WRAP_INFO, aadOf(binding), envelope.wrappedKey);
}

/** Neither name has a line end in it. */
function aadOf({ tenant, purpose, token }: TokenBinding): Buffer {
  return Buffer.from(`sealtrail/subject/v1\n${tenant}\n${purpose}\n${token}`);
}
