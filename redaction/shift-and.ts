/**
 * All short patterns at once, a bit for each of their characters (shift-and, Baeza-Yates and Gonnet 1992):
 * per character `state = ((state << 1) | firsts) & masks[code]`, and one is found where `state & lasts` is not 0.
 */

/** Character classes of a pattern, one entry a character. */
export type Pattern = readonly string[];

export interface Matcher {
  /** Indexed by character code below 128. */
  readonly masks: Int32Array;
  readonly firsts: number;
  readonly lasts: number;
}

const WORD_BITS = 32;

/** Compiles patterns of ASCII; all together they have at most 32 characters. */
export function compile(patterns: readonly Pattern[]): Matcher {
  const masks = new Int32Array(128);
  let firsts = 0;
  let lasts = 0;
  let bit = 0;
  for (const pattern of patterns) {
    firsts |= 1 << bit;
    for (const characters of pattern) {
      for (const character of characters) {
        const code = character.charCodeAt(0);
        masks[code] = (masks[code] ?? 0) | (1 << bit);
      }
      bit++;
    }
    lasts |= 1 << (bit - 1);
  }
  if (bit > WORD_BITS)
    throw new Error(`invariant broken: ${bit} pattern characters, 32 fit a word`);
  return { masks, firsts, lasts };
}
