/**
 * What is made once of an answer, for whoever waits for it: kept where it could be made, and given up when nobody waits any
 * longer. Pure.
 */
import type { Result } from '../../schemas/result.ts';

type Make<T> = (signal: AbortSignal) => Promise<Result<T, string>>;

export interface Kept<T> {
  /** Makes it, or waits with others for the one that is being made; `gone`: whoever asked has left. Rejects as `make` does. */
  get(make: Make<T>, gone: AbortSignal): Promise<Result<T, string>>;
  /** The next one who asks has it made anew. */
  forget(): void;
}

interface Making<T> {
  readonly made: Promise<Result<T, string>>;
  readonly ending: AbortController;
  waiting: number;
}

/** Creates it; nothing is made yet. */
export function createKept<T>(): Kept<T> {
  let current: Making<T> | null = null;

  function begin(make: Make<T>): Making<T> {
    const ending = new AbortController();
    return { made: make(ending.signal), ending, waiting: 0 };
  }

  return {
    forget: () => {
      current = null;
    },
    get: async (make, gone) => {
      const mine = (current ??= begin(make));
      const drop = (): void => {
        if (current === mine) current = null;
      };
      const leave = (): void => {
        mine.waiting -= 1;
        if (mine.waiting > 0) return;
        drop();
        mine.ending.abort();
      };
      mine.waiting += 1;
      if (gone.aborted) leave();
      gone.addEventListener('abort', leave, { once: true });
      let isMade = false;
      try {
        const result = await mine.made;
        isMade = result.ok;
        return result;
      } finally {
        gone.removeEventListener('abort', leave);
        if (!isMade) drop();
      }
    },
  };
}
