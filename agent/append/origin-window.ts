/**
 * Foreign record ids seen lately: what makes an OTLP retry harmless. Bounded: the oldest id is
 * forgotten first, and a record whose id was forgotten is sealed again (its event_id is derived from
 * the id, so the store still shows it once). Rebuilt from the ledger's last segments at start.
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
  /** Remembers; returns the key, for `forget` when the commit fails. */
  remember(tenant: string, origin: Origin, receipt: Receipt): string | null;
  forget(key: string): void;
}

/** Creates an empty window. */
export function createOriginWindow(originsMax: number = ORIGINS_MAX): OriginWindow {
  const seen = new Map<string, Seen>();
  // A tenant id holds no newline, so the key is unambiguous.
  const keyOf = (tenant: string, id: string): string => `${tenant}\n${id}`;

  return {
    find: (tenant, origin) => {
      if (origin.record_id === undefined) return null;
      const found = seen.get(keyOf(tenant, origin.record_id));
      if (found === undefined) return null;
      return found.payload === origin.payload_sha256 ? found.receipt : 'conflict';
    },
    remember: (tenant, origin, receipt) => {
      if (origin.record_id === undefined || origin.payload_sha256 === undefined) return null;
      const key = keyOf(tenant, origin.record_id);
      seen.set(key, { payload: origin.payload_sha256, receipt });
      if (seen.size > originsMax) {
        for (const oldest of seen.keys()) {
          seen.delete(oldest);
          break;
        }
      }
      return key;
    },
    forget: (key) => {
      seen.delete(key);
    },
  };
}
