/** Checksums as S3 asks for them, and the ETag that it makes of them. Pure. */
import { createHash } from 'node:crypto';

export function hash(algorithm: 'md5' | 'sha256', bytes: Uint8Array): Buffer {
  return createHash(algorithm).update(bytes).digest();
}

/** Cuts a body into parts, each but the last of the same size. */
export function partsOf(body: Buffer, partBytes: number): readonly Buffer[] {
  const count = Math.ceil(body.length / partBytes);
  return Array.from({ length: count }, (_, at) =>
    body.subarray(at * partBytes, (at + 1) * partBytes),
  );
}

/** S3's ETag: the MD5 of an object, or, where it came in parts, that of the parts' MD5s. */
export function etagOf(body: Buffer, partBytes: number): string {
  if (body.length <= partBytes) return hash('md5', body).toString('hex');
  const parts = partsOf(body, partBytes);
  const digests = Buffer.concat(parts.map((part) => hash('md5', part)));
  return `${hash('md5', digests).toString('hex')}-${parts.length}`;
}
