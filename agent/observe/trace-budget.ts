/** How many spans there may be: tracing must stay small beside what it traces. */
import type { Clock } from '../ports.ts';

export interface TraceBudget {
  /**
   * Asks for a span of a kind. Null: there is none left in this second. Otherwise the number of spans
   * of the kind that went without since the last one, so that totals can be told from what was sent.
   */
  take(kind: string, always?: boolean): number | null;
}

/** Creates a budget of so many spans a second for each kind; kinds must be few. */
export function createTraceBudget(spansPerSecond: number, clock: Clock): TraceBudget {
  const kinds = new Map<string, { second: number; taken: number; skipped: number }>();
  return {
    take: (kind, always = false) => {
      const second = Math.floor(clock.nowMs() / 1000);
      const state = kinds.get(kind) ?? { second, taken: 0, skipped: 0 };
      kinds.set(kind, state);
      if (state.second !== second) Object.assign(state, { second, taken: 0 });
      if (state.taken >= spansPerSecond && !always) {
        state.skipped += 1;
        return null;
      }
      state.taken += 1;
      const { skipped } = state;
      state.skipped = 0;
      return skipped;
    },
  };
}
