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

/** JSON that says the same, with those as escapes: who looks at it on a terminal sees no more than who parses it. */
export function printableJson(value: unknown, space?: number): string {
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value, null, space).replace(
    /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => character.split('').map(escape).join(''),
  );
}
