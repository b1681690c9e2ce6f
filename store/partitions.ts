/**
 * Which months have a partition, as far as this process knows; asks the database to make the
 * missing ones before a batch needs them. Where it cannot yet, the default partition takes the
 * records: delivery never waits for a month.
 */
import type { ClientBase } from 'pg';

export interface PartitionMaker {
  /** Makes partitions for these times, and for the next two months; throws what the query throws. */
  ensure(client: ClientBase, timesMs: readonly number[]): Promise<void>;
  /** Forgets what it knows (another database may answer after a reconnect). */
  forget(): void;
}

const MONTHS_AHEAD = 2;
/** What audit.ensure_partition allows, either way. */
const MONTHS_OFF_MAX = 119;
/** Pause after a try that met a long query on the table. */
const BUSY_MS = 60_000;

/** Creates a maker that knows of no partition yet. */
export function createPartitionMaker(nowMs: () => number = Date.now): PartitionMaker {
  /** Month -> when to ask for it again. */
  const askAgainMs = new Map<number, number>();
  return {
    ensure: async (client, timesMs) => {
      const now = monthOf(nowMs());
      const wanted = new Set<number>();
      for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) wanted.add(now + ahead);
      for (const time of timesMs) {
        const month = monthOf(time);
        if (Math.abs(month - now) <= MONTHS_OFF_MAX) wanted.add(month);
      }
      for (const month of wanted) {
        if (nowMs() < (askAgainMs.get(month) ?? 0)) continue;
        const start = new Date(Date.UTC(Math.floor(month / 12), month % 12, 1));
        const asked = await client.query<{ done: boolean }>(
          'SELECT audit.ensure_partition($1) AS done',
          [start.toISOString()],
        );
        const isDone = asked.rows[0]?.done === true;
        askAgainMs.set(month, isDone ? Infinity : nowMs() + BUSY_MS);
      }
    },
    forget: () => askAgainMs.clear(),
  };
}

function monthOf(timeMs: number): number {
  const time = new Date(timeMs);
  return time.getUTCFullYear() * 12 + time.getUTCMonth();
}
