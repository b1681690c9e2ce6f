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
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type { VerifyStatus } from '../../schemas/otel-audit.ts';

/** Public keys by what `audit.integrity.certificate` may call them; '' is the key for no reference. */
export type IntegrityTrust = ReadonlyMap<string, KeyObject>;

export interface TrustedKey {
  /** Key id as clients send it; absent: known by certificate fingerprint, or the default key. */
  readonly reference?: string;
  /** X.509 certificate or SPKI public key, PEM. */
  readonly pem: string;
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

/** Loads trusted keys; the error says which of them (0-based) cannot be read. */
export function createTrust(keys: readonly TrustedKey[]): Result<IntegrityTrust, string> {
  const trust = new Map<string, KeyObject>();
  for (const [index, { reference, pem }] of keys.entries()) {
    try {
      if (pem.includes('CERTIFICATE')) {
        const certificate = new X509Certificate(pem);
        trust.set(fingerprintOf(certificate.raw), certificate.publicKey);
        if (reference !== undefined) trust.set(reference, certificate.publicKey);
      } else {
        trust.set(reference ?? '', createPublicKey(pem));
      }
    } catch (error) {
      return err(`trusted key ${index}: ${messageOf(error)}`);
    }
  }
  return ok(trust);
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
