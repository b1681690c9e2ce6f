/**
 * Foreign record ids seen lately: what makes an OTLP retry harmless. Bounded: the oldest id is
 * forgotten first, and a record whose id was forgotten is sealed again (its event_id is derived from
 * the id, so the store still shows it once). Rebuilt from the ledger's last records at start.
 */
import type { Origin } from '../../schemas/event.ts';
import type { Receipt } from '../../schemas/record.ts';

/** Foreign ids remembered. */
export const ORIGINS_MAX = 100_000;

interface Seen {
  readonly payload: string;
  readonly receipt: Receipt;
}

export interface OriginWindow {
  /** Same id and payload: its receipt; same id, other payload: 'conflict'; never seen: null. */
  find(tenant: string, origin: Origin): Receipt | 'conflict' | null;
  /** Remembers a record that is on its way to the disk; `commit` or `rollback` follows. */
  remember(tenant: string, origin: Origin, receipt: Receipt): void;
  commit(): void;
  /** Forgets what came since the last commit, and nothing else. */
  rollback(): void;
}

/** Creates an empty window. */
export function createOriginWindow(originsMax: number = ORIGINS_MAX): OriginWindow {
  const seen = new Map<string, Seen>();
  const pending = new Map<string, Seen>();
  // A tenant id holds no newline, so the key is unambiguous.
  const keyOf = (tenant: string, id: string): string => `${tenant}\n${id}`;

  return {
    find: (tenant, origin) => {
      if (origin.record_id === undefined) return null;
      const key = keyOf(tenant, origin.record_id);
      const found = pending.get(key) ?? seen.get(key);
      if (found === undefined) return null;
      return found.payload === origin.payload_sha256 ? found.receipt : 'conflict';
    },
    remember: (tenant, { record_id: id, payload_sha256: payload }, receipt) => {
      if (id !== undefined && payload !== undefined)
        pending.set(keyOf(tenant, id), { payload, receipt });
    },
    commit: () => {
      for (const [key, value] of pending) seen.set(key, value);
      pending.clear();
      for (const oldest of seen.keys()) {
        if (seen.size <= originsMax) break;
        seen.delete(oldest);
      }
    },
    rollback: () => pending.clear(),
  };
}
