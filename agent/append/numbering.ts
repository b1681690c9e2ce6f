/**
 * Producer numbers: what is new, what was acked before, what is missing. A refused number is no
 * gap: it is noted here and written into the next record of its producer (`chain.producer.refused`),
 * so that a verifier can tell the two apart without asking anyone.
 */

/** Refused numbers remembered per producer; beyond that the oldest turn into a reported gap. */
const REFUSED_MAX = 10_000;

export type Placement =
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'new'; readonly refused: number; readonly gap: number };

export interface Numbering {
  place(producer: string, seq: number): Placement;
  noteRefused(producer: string, seq: number): void;
  /** Drops notes that records up to this number have taken up. */
  settle(producer: string, seq: number): void;
}

/** Creates a numbering over the last numbers that the ledger knows. */
export function createNumbering(last: ReadonlyMap<string, number>): Numbering {
  const refusedOf = new Map<string, Set<number>>();

  return {
    place: (producer, seq) => {
      const before = last.get(producer) ?? -1;
      if (seq <= before) return { kind: 'duplicate' };
      let refused = 0;
      for (const number of refusedOf.get(producer) ?? []) {
        if (number > before && number < seq) refused += 1;
      }
      return { kind: 'new', refused, gap: seq - before - 1 - refused };
    },
    noteRefused: (producer, seq) => {
      if (seq <= (last.get(producer) ?? -1)) return;
      const numbers = refusedOf.get(producer) ?? new Set<number>();
      numbers.add(seq);
      refusedOf.set(producer, numbers);
      if (numbers.size <= REFUSED_MAX) return;
      for (const oldest of numbers) {
        numbers.delete(oldest);
        break;
      }
    },
    settle: (producer, seq) => {
      const numbers = refusedOf.get(producer);
      if (numbers === undefined) return;
      for (const number of numbers) if (number <= seq) numbers.delete(number);
      if (numbers.size === 0) refusedOf.delete(producer);
    },
  };
}
