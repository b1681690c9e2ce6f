/** Text of others on a terminal. */

/** Whatever would move the cursor, change colours or turn the direction of writing is shown as what it is. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Prints a line. What was said by others, in it, MUST NOT write over a verdict, or begin a line of its own. */
export function say(line: string): void {
  console.log(printable(String(line)));
}
