/**
 * A producer's own proof (`audit.integrity.value`): verified where the configuration trusts a key for
 * it, deferred otherwise. Signatures follow JWA (RFC 7518, RFC 8037) over the JCS form of the record.
 * A certificate that merely comes along is never trusted: it has to be known by its fingerprint.
 */
import {
  constants,
  createHash,
  createPublicKey,
  verify,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import type { TrustedKeyConfig } from '../../schemas/config.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { VerifyStatus } from '../../schemas/otel-audit.ts';

/** Public keys by what `audit.integrity.certificate` may call them; '' is the key for no reference. */
export type IntegrityTrust = ReadonlyMap<string, KeyObject>;

/** Which trusted key cannot be one. */
export interface TrustFault {
  /** 0-based. */
  readonly index: number;
  /** Says what it is instead and what to do; never quotes the key. */
  readonly message: string;
}

export interface Proof {
  /** Base64. */
  readonly value: string;
  readonly algorithm: string;
  readonly certificate: string;
  readonly canonicalization: string;
}

interface Algorithm {
  readonly keyType: string;
  readonly curve?: string;
  readonly hash: string | null;
  readonly padding?: number;
}

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map<string, Algorithm>([
  ['EdDSA', { keyType: 'ed25519', hash: null }],
  ['Ed25519', { keyType: 'ed25519', hash: null }],
  ['ES256', { keyType: 'ec', curve: 'prime256v1', hash: 'sha256' }],
  ['ES384', { keyType: 'ec', curve: 'secp384r1', hash: 'sha384' }],
  ['RS256', { keyType: 'rsa', hash: 'sha256', padding: constants.RSA_PKCS1_PADDING }],
  ['RS512', { keyType: 'rsa', hash: 'sha512', padding: constants.RSA_PKCS1_PADDING }],
  ['PS256', { keyType: 'rsa', hash: 'sha256', padding: constants.RSA_PKCS1_PSS_PADDING }],
]);

/** Loads trusted keys. */
export function createTrust(keys: readonly TrustedKeyConfig[]): Result<IntegrityTrust, TrustFault> {
  const trust = new Map<string, KeyObject>();
  for (const [index, { reference, pem }] of keys.entries()) {
    const read = readKey(pem);
    if (!read.ok) return err({ index, message: read.error });
    const { key, fingerprint } = read.value;
    const names = [fingerprint, reference].filter((name) => name !== undefined);
    for (const name of names.length === 0 ? [''] : names) {
      if (trust.has(name)) {
        const message = 'goes by the same name as a key before it; give each its own reference';
        return err({ index, message });
      }
      trust.set(name, key);
    }
  }
  return ok(trust);
}

function readKey(pem: string): Result<{ key: KeyObject; fingerprint?: string }, string> {
  // OpenSSL would quietly take the public half of it.
  if (pem.includes('PRIVATE KEY')) return err('is a private key; give the public one');
  try {
    if (!pem.includes('CERTIFICATE')) return ok({ key: createPublicKey(pem) });
    const { publicKey, raw } = new X509Certificate(pem);
    return ok({ key: publicKey, fingerprint: fingerprintOf(raw) });
  } catch {
    // OpenSSL's message is about its own insides.
    return err('is neither an X.509 certificate nor a public key in PEM');
  }
}

function fingerprintOf(der: Uint8Array): string {
  return `sha256:${createHash('sha256').update(der).digest('hex')}`;
}

/** Says whether the proof holds over the signed bytes, or that nobody here can tell (`deferred`). */
export function verifyProof(
  proof: Proof,
  signed: () => Uint8Array,
  trust: IntegrityTrust,
): VerifyStatus {
  const algorithm = ALGORITHMS.get(proof.algorithm);
  const key = findKey(proof.certificate, trust);
  if (algorithm === undefined || key === undefined || proof.canonicalization !== 'jcs') {
    return 'deferred';
  }
  if (!isForKey(algorithm, key)) return 'failed';
  try {
    const { hash, padding } = algorithm;
    const options = {
      key,
      dsaEncoding: 'ieee-p1363' as const,
      ...(padding === undefined ? {} : { padding }),
    };
    const value = Buffer.from(proof.value, 'base64');
    return verify(hash, signed(), options, value) ? 'passed' : 'failed';
  } catch {
    // What OpenSSL cannot even parse is no proof.
    return 'failed';
  }
}

/** An attacker must not choose how a trusted key is used. */
function isForKey(algorithm: Algorithm, key: KeyObject): boolean {
  if (key.asymmetricKeyType !== algorithm.keyType) return false;
  return algorithm.curve === undefined || key.asymmetricKeyDetails?.namedCurve === algorithm.curve;
}

function findKey(reference: string, trust: IntegrityTrust): KeyObject | undefined {
  const known = trust.get(reference);
  if (known !== undefined || reference.length < 128) return known;
  return trust.get(fingerprintOf(Buffer.from(reference, 'base64')));
}
