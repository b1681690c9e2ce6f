/**
 * Brands: hashes of different kinds, and plain strings, cannot stand for one another.
 * The casts here are the only ones; each follows a check or a computation of the value.
 */
declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** 64 lower-case hex digits: `this_hash` or `prev_hash` of a record. */
export type ChainHash = Brand<string, 'ChainHash'>;

const HEX_64 = /^[0-9a-f]{64}$/;

/** The `prev_hash` of a stream's first record. */
export const GENESIS_PREV_HASH: ChainHash = '0'.repeat(64) as ChainHash;

/** Whether the value has the form of a chain hash. */
export function isChainHash(value: unknown): value is ChainHash {
  return typeof value === 'string' && HEX_64.test(value);
}

/** Brands a digest just computed. MUST be 64 lower-case hex digits. */
export function chainHash(hex: string): ChainHash {
  return hex as ChainHash;
}
