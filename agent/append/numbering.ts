/**
 * Producer numbers: what is new, what was acked before, what is missing. A refused number is no
 * gap: it is noted here and written into the next record of its producer (`chain.producer.refused`),
 * so that a verifier can tell the two apart without asking anyone.
 */

/** Refused numbers remembered of one producer; beyond that the lowest turn into a reported gap. */
const REFUSED_MAX = 10_000;
/** Refused numbers remembered of all producers; beyond that those silent the longest are forgotten. */
const REFUSED_TOTAL_MAX = 500_000;
/** What a producer counts for beside its numbers. */
const PRODUCER_COST = 16;

export type Placement =
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'new'; readonly refused: number; readonly gap: number };

export interface Numbering {
  place(producer: string, seq: number): Placement;
  noteRefused(producer: string, seqs: readonly number[]): void;
  /** Drops notes that records up to this number have taken up. */
  settle(producer: string, seq: number): void;
}

/** Creates a numbering over the last numbers that the ledger knows. */
export function createNumbering(last: ReadonlyMap<string, number>): Numbering {
  /** Rising numbers, none twice; the producer noted last stands last. */
  const refusedOf = new Map<string, readonly number[]>();
  let total = 0;

  function keep(producer: string, numbers: readonly number[]): void {
    forget(producer);
    if (numbers.length === 0) return;
    refusedOf.set(producer, numbers);
    total += numbers.length + PRODUCER_COST;
    for (const silent of refusedOf.keys()) {
      if (total <= REFUSED_TOTAL_MAX) return;
      forget(silent);
    }
  }

  function forget(producer: string): void {
    const numbers = refusedOf.get(producer);
    if (numbers === undefined) return;
    refusedOf.delete(producer);
    total -= numbers.length + PRODUCER_COST;
  }

  return {
    place: (producer, seq) => {
      const before = last.get(producer) ?? -1;
      if (seq <= before) return { kind: 'duplicate' };
      const numbers = refusedOf.get(producer) ?? [];
      const refused = countBelow(numbers, seq) - countBelow(numbers, before + 1);
      return { kind: 'new', refused, gap: seq - before - 1 - refused };
    },
    noteRefused: (producer, seqs) => {
      const before = last.get(producer) ?? -1;
      const numbers = refusedOf.get(producer) ?? [];
      const fresh = seqs.filter((seq) => seq > before);
      if (fresh.length > 0) keep(producer, mergeRising(numbers, fresh).slice(-REFUSED_MAX));
    },
    settle: (producer, seq) => {
      const numbers = refusedOf.get(producer);
      if (numbers !== undefined) keep(producer, numbers.slice(countBelow(numbers, seq + 1)));
    },
  };
}

/** How many of these rising numbers are lower, by halving: a client may have thousands noted. */
function countBelow(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function mergeRising(numbers: readonly number[], fresh: readonly number[]): readonly number[] {
  return [...new Set([...numbers, ...fresh])].sort((a, b) => a - b);
}
