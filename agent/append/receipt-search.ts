/**
 * Receipts of events that are sent again, looked up beside the commits, so that nobody who sends
 * something new waits for it. One search is under way at a time, and all who ask meanwhile share the
 * next one: after a restart a whole host's clients resend at once.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { findReceipts, type FoundReceipts, type ReceiptQuery } from '../../ledger/locate.ts';
import { messageOf } from '../../schemas/result.ts';
import type { Logger } from '../ports.ts';

export interface ReceiptSearch {
  /** What the ledger holds of these numbers; null where it cannot be read. Never rejects. */
  find(producer: string, seqs: ReadonlySet<number>): Promise<FoundReceipts | null>;
}

interface Asked extends ReceiptQuery {
  giveUp(): void;
}

/** Creates a search over the durable records of a ledger. */
export function createReceiptSearch(options: {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly log: Logger;
}): ReceiptSearch {
  let asked: Asked[] = [];
  let isSearching = false;

  async function search(): Promise<void> {
    isSearching = true;
    while (asked.length > 0) {
      const queries = asked;
      asked = [];
      try {
        await findReceipts(options.filesystem, options.dir, queries);
      } catch (error) {
        options.log.error({ error: messageOf(error) }, 'cannot search the ledger for receipts');
        // No effect on those that were answered before it failed.
        for (const query of queries) query.giveUp();
      }
    }
    isSearching = false;
  }

  return {
    find: (producer, seqs) =>
      new Promise((answer) => {
        asked.push({ producer, seqs, answer, giveUp: () => answer(null) });
        if (!isSearching) void search();
      }),
  };
}
