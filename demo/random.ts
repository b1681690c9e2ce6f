/** Chance with a seed: the same seed gives the same story. Pure. */

export interface Random {
  /** 0 to below 1. */
  next(): number;
  /** A whole number from `from` up to, not including, `to`. */
  int(from: number, to: number): number;
  /** True so often, 0 to 1. */
  chance(of: number): boolean;
  pick<T>(of: readonly T[]): T;
  hex(digits: number): string;
  /** A ULID of this time. */
  ulid(atMs: number): string;
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Creates a generator: mulberry32, 32 bits of state, good enough for a story and for nothing secret. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (from: number, to: number): number => from + Math.floor(next() * (to - from));
  const letters = (alphabet: string, count: number): string =>
    Array.from({ length: count }, () => alphabet[int(0, alphabet.length)]).join('');
  return {
    next,
    int,
    chance: (of) => next() < of,
    pick: (of) => {
      const one = of[int(0, of.length)];
      if (one === undefined) throw new RangeError('there is nothing to pick from');
      return one;
    },
    hex: (digits) => letters('0123456789abcdef', digits),
    ulid: (atMs) => {
      let time = '';
      for (let rest = atMs, n = 0; n < 10; n += 1) {
        time = (CROCKFORD[rest % 32] ?? '') + time;
        rest = Math.floor(rest / 32);
      }
      return time + letters(CROCKFORD, 16);
    },
  };
}
