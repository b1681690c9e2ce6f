/**
 * Skipping: a best-effort sink with a bound lets go of its oldest records when too much waits. That it
 * does is an audit event first, in the ledger, for every sink to see; the cursor moves only then. A
 * crash in between leaves the event, and the skip is decided anew.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { Logger, SkippedRecords } from '../ports.ts';
import type { Backlog, Skip } from './backlog.ts';
import type { CursorKeeper } from './cursor.ts';
import type { Feed } from './feed.ts';
import type { Progress } from './progress.ts';

export interface SkippingOptions {
  readonly sink: string;
  readonly ledgerDir: string;
  readonly filesystem: Filesystem;
  readonly backlog: Backlog;
  readonly keeper: CursorKeeper;
  readonly feed: Feed;
  readonly progress: Progress;
  readonly log: Pick<Logger, 'error'>;
  readonly nowMs: () => number;
  readonly durable: () => number;
  /** Puts the skip into the ledger; false when it is not there. */
  readonly recordSkip: (skipped: SkippedRecords) => Promise<boolean>;
}

export interface Skipping {
  /** Whether more waits than may. Called between two tries, so a ledger that cannot be read is no. */
  isOver(): Promise<boolean>;
  /** Skips what is too much, if anything is. MUST NOT run while a batch is at the sink. */
  skip(): Promise<Result<void, string>>;
}

/** Creates the skipping of one sink. */
export function createSkipping(options: SkippingOptions): Skipping {
  const { sink, backlog, keeper, feed, progress } = options;
  const judge = (): ReturnType<Backlog['judge']> =>
    backlog.judge(keeper.current().next, options.durable());

  async function apply({ to, limit }: Skip): Promise<Result<void, string>> {
    const from = keeper.current().next;
    const last = await hashOf(options, to - 1);
    if (!last.ok) return last;
    const count = to - from;
    if (!(await options.recordSkip({ sink, from, to: to - 1, count, limit })))
      return err('a skip cannot be recorded in the ledger, so nothing is skipped');
    await feed.seek(to);
    keeper.move({ ...keeper.current(), next: to, last_hash: last.value });
    const reason = `skipped ${count} records (${from} to ${to - 1}): more waited than bound.${limit} allows`;
    progress.change({
      cursor: to,
      oldest_ms: null,
      skipped_total: progress.report().skipped_total + count,
      last_error: reason,
      last_error_at: new Date(options.nowMs()).toISOString(),
    });
    options.log.error({ sink, from, to: to - 1, count, limit }, 'records were skipped');
    await keeper.save();
    return ok(undefined);
  }

  return {
    isOver: async () => {
      const judged = await judge();
      return judged.ok && judged.value !== null;
    },
    skip: async () => {
      const judged = await judge();
      if (!judged.ok) return judged;
      return judged.value === null ? ok(undefined) : apply(judged.value);
    },
  };
}

async function hashOf(
  { ledgerDir, filesystem }: SkippingOptions,
  number: number,
): Promise<Result<ChainHash, string>> {
  const reader = createLedgerReader({ dir: ledgerDir, filesystem, from: number });
  const read = await reader.read({ recordsMax: 1, bytesMax: 1, upTo: number + 1 });
  await reader.close();
  if (!read.ok) return err(`${read.error.kind}: ${read.error.message}`);
  const [record] = read.value;
  return record === undefined ? err(`record ${number} cannot be read`) : ok(record.this_hash);
}
