/**
 * The keys of the vault, a version a line, newest first. The administrator's file has private keys; what
 * applications get has the same lines with the public ones, so that they can add a person and read nobody:
 *
 *   v2 <64 hex: index key> private <64 hex>        v2 <64 hex: index key> public <64 hex>
 *   v1 <64 hex: index key> private <64 hex>        v1 <64 hex: index key> public <64 hex>
 */
import { createPublicKey, randomBytes, type KeyObject } from 'node:crypto';
import { err, ok, type Result } from '../../schemas/result.ts';
import { generatePrivateKey, importPrivate, importPublic, rawPrivate, rawPublic } from './hpke.ts';

/** One version: what finds a person (index key), what seals, and perhaps what opens. */
export interface VaultKey {
  readonly version: string;
  readonly indexKey: Uint8Array;
  readonly publicKey: KeyObject;
  /** Null in an application. */
  readonly privateKey: KeyObject | null;
}

/** The newest seals; all of them find. */
export type VaultKeyRing = readonly [VaultKey, ...VaultKey[]];

const LINE = /^(v[1-9][0-9]{0,5}) ([0-9a-f]{64}) (public|private) ([0-9a-f]{64})$/;
const INDEX_KEY_BYTES = 32;

/** A new version, with random keys. */
export function createVaultKey(version: string): VaultKey {
  const privateKey = generatePrivateKey();
  const indexKey = randomBytes(INDEX_KEY_BYTES);
  return { version, indexKey, privateKey, publicKey: createPublicKey(privateKey) };
}

/** The version after the newest. */
export function nextVersion(ring: readonly VaultKey[]): string {
  return `v${1 + Math.max(0, ...ring.map(({ version }) => Number(version.slice(1))))}`;
}

/** Writes a ring down: for the vault's administrator, or without private keys for applications. */
export function formatVaultKeys(
  ring: readonly VaultKey[],
  isFor: 'administrator' | 'application',
): string {
  const lines = ring.map(({ version, indexKey, publicKey, privateKey }) => {
    const isPrivate = isFor === 'administrator' && privateKey !== null;
    const half = isPrivate
      ? `private ${hex(rawPrivate(privateKey))}`
      : `public ${hex(rawPublic(publicKey))}`;
    return `${version} ${hex(indexKey)} ${half}\n`;
  });
  return lines.join('');
}

/** Reads a ring; commas may stand for line ends, as an environment variable may want it. Quotes no key. */
export function parseVaultKeys(text: string): Result<VaultKeyRing, string> {
  const ring: VaultKey[] = [];
  const lines = text.split(/[\n,]/).map((line) => line.trim());
  for (const line of lines.filter((one) => one !== '')) {
    const found = LINE.exec(line);
    if (found === null) return err(`line ${ring.length + 1} is no vault key; ${REMEDY}`);
    const [, version = '', index = '', half, key = ''] = found;
    if (ring.some((one) => one.version === version)) return err(`${version} is there twice`);
    const raw = Buffer.from(key, 'hex');
    const privateKey = half === 'private' ? importPrivate(raw) : null;
    const publicKey = privateKey === null ? importPublic(raw) : createPublicKey(privateKey);
    ring.push({ version, indexKey: Buffer.from(index, 'hex'), publicKey, privateKey });
  }
  const [newest, ...older] = ring.sort((a, b) => numberOf(b) - numberOf(a));
  return newest === undefined ? err(`there is no vault key; ${REMEDY}`) : ok([newest, ...older]);
}

const REMEDY = 'give the lines of the file that `sealtrail vault init` wrote for applications';

function numberOf({ version }: VaultKey): number {
  return Number(version.slice(1));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
