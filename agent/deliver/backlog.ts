/**
 * How much waits for a sink that has a bound: bytes and arrival of each record between its cursor and
 * the end of the ledger, read once as it grows. Only a best-effort sink with a bound pays for this.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import type { BoundConfig } from '../../schemas/exporter-config.ts';
import { err, ok, type Result } from '../../schemas/result.ts';

/** Records that a sink is not to get. */
export interface Skip {
  /** Number of the first record that is kept. */
  readonly to: number;
  /** The limit that was passed. */
  readonly limit: keyof BoundConfig;
}

export interface Backlog {
  /**
   * Which records have to go so that what waits from `next` on is within the bound; null: none. An error
   * says that the ledger cannot be read now.
   */
  judge(next: number, durable: number): Promise<Result<Skip | null, string>>;
  close(): Promise<void>;
}

export interface BacklogOptions {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly bound: BoundConfig;
  readonly from: number;
  readonly nowMs: () => number;
}

/**
 * What is left of a limit after a skip. A skip down to the limit itself would be followed by one for each
 * record that comes, its own event among them.
 */
const KEPT = 0.9;
const READ_RECORDS = 1_000;
const READ_BYTES = 4 * 1024 * 1024;

interface Waiting {
  readonly bytes: number;
  readonly receivedMs: number;
}

/** Creates the measure of a sink whose next record is `from`. */
export function createBacklog(options: BacklogOptions): Backlog {
  const { bound, nowMs } = options;
  const reader = createLedgerReader(options);
  /** From record `first` on. */
  let waiting: Waiting[] = [];
  let first = options.from;
  let bytes = 0;

  async function readUpTo(durable: number): Promise<string | null> {
    while (reader.position() < durable) {
      const read = await reader.read({
        recordsMax: READ_RECORDS,
        bytesMax: READ_BYTES,
        upTo: durable,
      });
      if (!read.ok) return `${read.error.kind}: ${read.error.message}`;
      if (read.value.length === 0) return null;
      for (const { eventText } of read.value) {
        const size = Buffer.byteLength(eventText);
        waiting.push({ bytes: size, receivedMs: receivedAt(eventText) });
        bytes += size;
      }
    }
    return null;
  }

  function forget(next: number): void {
    const count = Math.min(Math.max(0, next - first), waiting.length);
    for (let at = 0; at < count; at++) bytes -= waiting[at]?.bytes ?? 0;
    waiting = waiting.slice(count);
    first += count;
  }

  /** How many of the oldest have to go. */
  function countOver(limit: keyof BoundConfig, most: number): number {
    if (limit === 'records') {
      return waiting.length > most ? waiting.length - Math.floor(most * KEPT) : 0;
    }
    if (limit === 'bytes') {
      let left = bytes;
      let count = 0;
      if (left <= most) return 0;
      while (left > most * KEPT) left -= waiting[count++]?.bytes ?? left;
      return count;
    }
    const oldest = waiting[0];
    if (oldest === undefined || nowMs() - oldest.receivedMs <= most) return 0;
    const kept = waiting.findIndex(({ receivedMs }) => nowMs() - receivedMs <= most * KEPT);
    return kept < 0 ? waiting.length : kept;
  }

  return {
    judge: async (next, durable) => {
      const obstacle = await readUpTo(durable);
      if (obstacle !== null) return err(obstacle);
      forget(next);
      let skip: Skip | null = null;
      for (const limit of ['records', 'bytes', 'age_ms'] as const) {
        const most = bound[limit];
        const count = most === undefined ? 0 : countOver(limit, most);
        if (first + count > (skip?.to ?? first)) skip = { to: first + count, limit };
      }
      return ok(skip);
    },
    close: () => reader.close(),
  };
}

/** The text is one that the agent sealed; a clock of the agent's own wrote the time into it. */
function receivedAt(eventText: string): number {
  const { chain } = JSON.parse(eventText) as { chain: { received_at: string } };
  return Date.parse(chain.received_at);
}
