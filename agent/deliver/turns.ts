/** Turns: works that must not overlap, run one after the other in the order they came. */

/** Creates a queue of turns; a work that rejects rejects for its caller only. */
export function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work, work);
    last = mine;
    return mine;
  };
}
