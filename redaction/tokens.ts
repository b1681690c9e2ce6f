/**
 * Tokens: what stands for a value that must stay comparable and may not stay readable.
 * HKDF-SHA256 (RFC 5869) gives each tenant its own key, HMAC-SHA256 (RFC 2104) the token.
 * Written in lower-case base32 (RFC 4648), a token looks like no card number and no SSN.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import { err, ok, type Result } from '../schemas/result.ts';
import { base32 } from './base32.ts';

/** Shortest master key, in bytes. */
export const REDACTION_KEY_BYTES_MIN = 32;

const TENANT_KEYS_MAX = 1024;
const TOKEN = /^tok_[a-z2-7]{8}_[a-z2-7]{26}$/;
const LONG_DIGIT_RUN = /[0-9]{13}/;

/** A redaction key that is missing or too short: nothing may be recorded with it. */
export class RedactionKeyError extends Error {
  readonly code = 'redaction_key_invalid';
  override readonly name = 'RedactionKeyError';
}

/** Makes tokens of one master key. */
export interface Tokenizer {
  /** Names the master key without revealing it: 8 characters, part of every token. */
  readonly keyId: string;
  /** Returns `tok_<key id>_<26 characters>` (130 bits), the same for the same four inputs. */
  tokenize(tenant: string, kind: string, normalized: string): string;
}

/**
 * Creates a tokenizer.
 * @throws RedactionKeyError for a key of fewer than 32 bytes.
 */
export function createTokenizer(masterKey: Uint8Array): Tokenizer {
  if (!(masterKey instanceof Uint8Array) || masterKey.length < REDACTION_KEY_BYTES_MIN) {
    throw new RedactionKeyError(
      `the redaction key must have at least ${REDACTION_KEY_BYTES_MIN} bytes; ${REMEDY}`,
    );
  }
  const key = Uint8Array.from(masterKey);
  const keyId = base32(derive(key, 'sealtrail/redaction/v1/key-id'), 8);
  const tenantKeys = new Map<string, Buffer>();

  function tenantKey(tenant: string): Buffer {
    const known = tenantKeys.get(tenant);
    if (known !== undefined) return known;
    const derived = derive(key, `sealtrail/redaction/v1\n${tenant}`);
    if (tenantKeys.size >= TENANT_KEYS_MAX) {
      // The oldest goes: deriving it again costs microseconds.
      for (const oldest of tenantKeys.keys()) {
        tenantKeys.delete(oldest);
        break;
      }
    }
    tenantKeys.set(tenant, derived);
    return derived;
  }

  return {
    keyId,
    tokenize(tenant, kind, normalized) {
      const digest = createHmac('sha256', tenantKey(tenant))
        .update(`${kind}\n${normalized}`)
        .digest();
      return `tok_${keyId}_${base32(digest, 26)}`;
    },
  };
}

/** Whether the text is a token and nothing else. */
export function isToken(text: string): boolean {
  // A card number of the digits 2 to 7 fits into the alphabet; a token never has such a run.
  return TOKEN.test(text) && !LONG_DIGIT_RUN.test(text);
}

const REMEDY =
  'set SEALTRAIL_REDACTION_KEY to 64 or more hexadecimal digits, as `openssl rand -hex 32` prints them';

/** Reads the key that makes tokens: the first of a key ring. */
export function parseRedactionKey(
  text: string | undefined,
): Result<Uint8Array, { readonly message: string }> {
  const ring = parseKeyRing(text);
  return ring.ok ? ok(ring.value[0]) : ring;
}

/** The key that makes tokens, and those that once did: the tokens of these can still be told. */
export type KeyRing = readonly [Uint8Array, ...Uint8Array[]];

/** Reads a key ring: 64 or more hex digits a key, white space between them, the newest first. */
export function parseKeyRing(
  text: string | undefined,
): Result<KeyRing, { readonly message: string }> {
  const ring: Uint8Array[] = [];
  for (const hex of (text ?? '').split(/\s+/).filter((word) => word !== '')) {
    if (!/^(?:[0-9a-f]{2})+$/i.test(hex)) {
      return err({ message: `the redaction key is not hexadecimal; ${REMEDY}` });
    }
    if (hex.length < REDACTION_KEY_BYTES_MIN * 2) {
      return err({
        message: `the redaction key has ${hex.length} hexadecimal digits, too few; ${REMEDY}`,
      });
    }
    ring.push(Uint8Array.from(Buffer.from(hex, 'hex')));
  }
  const [current, ...retired] = ring;
  if (current === undefined) return err({ message: `there is no redaction key; ${REMEDY}` });
  return ok([current, ...retired]);
}

function derive(key: Uint8Array, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, new Uint8Array(0), info, 32));
}
