/**
 * Which months have a partition, as far as this process knows; asks the database to make the
 * missing ones before a batch needs them.
 */
import type { ClientBase } from 'pg';

export interface PartitionMaker {
  /** Makes partitions for these times, and for the next two months; throws what the query throws. */
  ensure(client: ClientBase, timesMs: readonly number[]): Promise<void>;
  /** Forgets what it knows (another database may answer after a reconnect). */
  forget(): void;
}

const MONTHS_AHEAD = 2;
/** What audit.ensure_partitions allows; beyond it records go to the default partition. */
const MONTHS_BACK_MAX = 119;

/** Creates a maker that knows of no partition yet. */
export function createPartitionMaker(nowMs: () => number = Date.now): PartitionMaker {
  const known = new Set<number>();
  return {
    ensure: async (client, timesMs) => {
      const now = monthOf(nowMs());
      const wanted = new Set([now, now + 1, now + MONTHS_AHEAD]);
      for (const time of timesMs) {
        const month = monthOf(time);
        if (month >= now - MONTHS_BACK_MAX && month <= now + MONTHS_AHEAD) wanted.add(month);
      }
      for (const month of [...wanted].sort((a, b) => a - b)) {
        if (known.has(month)) continue;
        const start = new Date(Date.UTC(Math.floor(month / 12), month % 12, 1));
        await client.query('SELECT audit.ensure_partitions($1, $1)', [start.toISOString()]);
        known.add(month);
      }
    },
    forget: () => known.clear(),
  };
}

function monthOf(timeMs: number): number {
  const time = new Date(timeMs);
  return time.getUTCFullYear() * 12 + time.getUTCMonth();
}
