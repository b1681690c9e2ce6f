/**
 * As much of Node's Buffer as the verifier uses, for browsers: the verifier there is the one that runs everywhere. The build
 * puts it in place of the global (scripts/verify-page.mjs).
 */
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';

type Encoding = 'utf8' | 'hex' | 'base64' | 'base64url' | 'latin1' | 'binary';

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

class Bytes extends Uint8Array {
  override toString(
    encoding: Encoding = 'utf8',
    from: number = 0,
    to: number = this.length,
  ): string {
    const part = this.subarray(from, to);
    if (encoding === 'hex') return bytesToHex(Uint8Array.from(part));
    if (encoding === 'utf8') return UTF8.decode(part);
    let letters = '';
    for (const byte of part) letters += String.fromCharCode(byte);
    if (encoding === 'latin1' || encoding === 'binary') return letters;
    const base64 = btoa(letters);
    if (encoding === 'base64') return base64;
    return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  }

  /** write(text, at, encoding) and write(text, at, length, encoding). */
  write(text: string, at: number, ...rest: (number | Encoding)[]): number {
    const bytes = decode(text, rest.at(-1) as Encoding);
    this.set(bytes, at);
    return bytes.length;
  }

  copy(target: Uint8Array, at: number, from: number, to: number): number {
    target.set(this.subarray(from, to), at);
    return to - from;
  }

  readBigUInt64BE(at: number = 0): bigint {
    return new DataView(this.buffer, this.byteOffset).getBigUint64(at);
  }

  writeBigUInt64BE(value: bigint, at: number = 0): number {
    new DataView(this.buffer, this.byteOffset).setBigUint64(at, value);
    return at + 8;
  }
}

function decode(text: string, encoding: Encoding): Uint8Array {
  if (encoding === 'utf8') return utf8ToBytes(text);
  if (encoding === 'latin1' || encoding === 'binary')
    return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  // Like Node's: what cannot be decoded ends the bytes; whoever asks compares what comes back.
  if (encoding === 'hex') return hexToBytes(/^(?:[0-9a-fA-F]{2})*/.exec(text)?.[0] ?? '');
  const base64 = text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replace(/[^A-Za-z0-9+/].*$/s, '');
  const whole = base64.length % 4 === 1 ? base64.slice(0, -1) : base64;
  return Uint8Array.from(atob(whole), (letter) => letter.charCodeAt(0));
}

const own = (bytes: Uint8Array): Bytes => new Bytes(bytes);

export const Buffer = {
  from: (value: string | Uint8Array, encoding: Encoding = 'utf8'): Bytes =>
    own(typeof value === 'string' ? decode(value, encoding) : value),
  alloc: (length: number, fill = 0): Bytes => new Bytes(length).fill(fill) as Bytes,
  concat: (parts: readonly Uint8Array[]): Bytes => own(concatBytes(...parts.map(plain))),
  byteLength: (text: string): number => utf8ToBytes(text).length,
  compare: (one: Uint8Array, other: Uint8Array): number => {
    for (let at = 0; at < Math.min(one.length, other.length); at++) {
      const difference = (one[at] ?? 0) - (other[at] ?? 0);
      if (difference !== 0) return Math.sign(difference);
    }
    return Math.sign(one.length - other.length);
  },
};

/** @noble takes no subclass. */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
