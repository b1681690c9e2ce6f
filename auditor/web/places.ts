/**
 * Whole answers that are read at once. Each holds a connection to the store, and a snapshot of it, for as long as somebody
 * takes rows: a person gets a few, so that nobody takes the store's connections from the agent and from the others. Pure.
 */

const OF_ONE_PERSON_MAX = 3;

export interface Places {
  /** A place, to be left once: what leaves it again does nothing. Null: the person has them all. */
  take(person: string): (() => void) | null;
}

/** Creates them; nobody reads. */
export function createPlaces(): Places {
  const taken = new Map<string, number>();
  return {
    take(person) {
      const had = taken.get(person) ?? 0;
      if (had >= OF_ONE_PERSON_MAX) return null;
      taken.set(person, had + 1);
      let isLeft = false;
      return () => {
        if (isLeft) return;
        isLeft = true;
        const left = (taken.get(person) ?? 1) - 1;
        if (left === 0) taken.delete(person);
        else taken.set(person, left);
      };
    },
  };
}
