/** Base64 as RFC 4648 section 4 writes it, read strictly: of all spellings of some bytes only one. */

/** Decodes canonical base64; null for anything that would not be written so. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
