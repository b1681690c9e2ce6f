/** Text of others on a terminal: pure. */

/** Whatever would move the cursor, change colours or turn the direction of writing is shown as what it is. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
