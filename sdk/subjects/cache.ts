/** What is known for a while: bounded in number, the least used goes first, and nothing is older than a time. */

export interface Cache {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
}

/** Creates an empty cache; `nowMs` is a clock that only goes on. */
export function createCache(entriesMax: number, forMs: number, nowMs: () => number): Cache {
  const entries = new Map<string, { readonly value: string; readonly atMs: number }>();
  return {
    get: (key) => {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      if (nowMs() - entry.atMs >= forMs) return undefined;
      // A map keeps the order of insertion: now it is the youngest.
      entries.set(key, entry);
      return entry.value;
    },
    set: (key, value) => {
      entries.delete(key);
      entries.set(key, { value, atMs: nowMs() });
      if (entries.size <= entriesMax) return;
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        break;
      }
    },
  };
}
