/** Base32 (RFC 4648) in lower case, without padding: what tokens are written in. */

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** The first `characters` base32 digits of the bytes, 5 bits each, most significant first. */
export function base32(bytes: Uint8Array, characters: number): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5 && text.length < characters) {
      bits -= 5;
      text += ALPHABET.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
    if (text.length === characters) break;
  }
  return text;
}
