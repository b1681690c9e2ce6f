/** Suggest: the known name that a mistyped one was probably meant to be. Pure. */

/** A hostile name must not buy a long computation. */
const NAME_CHARACTERS_MAX = 128;

/** The known name closest to a mistyped one, the first of equals; null where none is close. */
export function suggest(name: string, known: Iterable<string>): string | null {
  if (name.length > NAME_CHARACTERS_MAX) return null;
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    // As many edits as letters make anything out of anything.
    if (distance < Math.min(bestDistance, candidate.length)) {
      [best, bestDistance] = [candidate, distance];
    }
  }
  return best;
}

/** Fewest letters to insert, drop, replace or swap with their neighbour (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let before: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwap ? (before[j - 2] ?? Infinity) + 1 : Infinity;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[to.length] ?? 0;
}
