/**
 * Work that takes its time: certificates and bundles, which read whole ranges of the store; timelines and proofs. A
 * person gets one after the other, and a few may wait; more are refused, so that nobody keeps the store, or this server,
 * busy for the others. Pure.
 */
import { err, type Result } from '../../schemas/result.ts';

const WAITING_MAX = 10;
const BUSY = `${WAITING_MAX} of these are being made for you already: wait for one of them`;

export interface Turns {
  /** Does the work when it is the person's turn; the error says that too much is waiting. Rejects as the work does. */
  take<T>(person: string, work: () => Promise<Result<T, string>>): Promise<Result<T, string>>;
}

/** Creates them; nobody waits. */
export function createTurns(): Turns {
  const lines = new Map<string, { last: Promise<unknown>; waiting: number }>();
  return {
    async take(person, work) {
      const line = lines.get(person) ?? { last: Promise.resolve(), waiting: 0 };
      if (line.waiting >= WAITING_MAX) return err(BUSY);
      lines.set(person, line);
      line.waiting += 1;
      const mine = line.last.then(work);
      // Whoever asked hears of a failure; the next one only waits for its end.
      line.last = mine.then(Boolean, Boolean);
      try {
        return await mine;
      } finally {
        line.waiting -= 1;
        if (line.waiting === 0) lines.delete(person);
      }
    },
  };
}
