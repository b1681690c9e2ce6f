/** ULIDs that are made of something, so that it gives the same one again. Pure. */

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A ULID of a time, in milliseconds, and the first 80 bits of a digest. */
export function ulidOf(timeMs: number, digest: Uint8Array): string {
  let bits = BigInt(timeMs);
  for (const byte of digest.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  let id = '';
  for (let digit = 0; digit < 26; digit++) {
    id = (CROCKFORD[Number(bits & 31n)] ?? '') + id;
    bits >>= 5n;
  }
  return id;
}
