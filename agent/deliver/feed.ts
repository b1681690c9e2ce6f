/**
 * The feed of one sink: batches from the ledger, each record checked against its hash. Behind a
 * backlog it reads the next batch while the current one is at the sink.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { DeliveryRecord } from '../ports.ts';
import { deliveryRecord } from './record.ts';

export interface FeedOptions {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly from: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
}

export interface Feed {
  /** The next batch below `upTo`, which MUST be beyond the last one's end. An error may pass. */
  read(upTo: number): Promise<Result<readonly DeliveryRecord[], string>>;
  /** Goes to a record, back or ahead: the next batch begins there. */
  seek(number: number): Promise<void>;
  close(): Promise<void>;
}

type Batch = Result<readonly DeliveryRecord[], string>;

/** Creates a feed that begins with record `from`. */
export function createFeed(options: FeedOptions): Feed {
  const { dir, filesystem, recordsMax, bytesMax } = options;
  let reader = createLedgerReader(options);
  let ahead: Promise<Batch> | null = null;

  /** Reads on from a record, whatever was read before. */
  async function returnTo(number: number): Promise<void> {
    await reader.close();
    reader = createLedgerReader({ dir, filesystem, from: number });
  }

  async function readBatch(upTo: number): Promise<Batch> {
    const read = await reader.read({ recordsMax, bytesMax, upTo });
    if (!read.ok) return err(`${read.error.kind}: ${read.error.message}`);
    const records: DeliveryRecord[] = [];
    for (const text of read.value) {
      const record = deliveryRecord(text.number, text);
      if (record === null) {
        await returnTo(text.number);
        if (records.length > 0) break;
        const what = `corruption: the hash of record ${text.number} does not match its bytes`;
        return err(`${what}; run \`sealtrail verify\` on ${dir}`);
      }
      records.push(record);
    }
    return ok(records);
  }

  return {
    read: async (upTo) => {
      const batch = await (ahead ?? readBatch(upTo));
      // Only a full batch is worth it: a short one would be sent before more had gathered.
      const isBehind = batch.ok && upTo - reader.position() >= recordsMax;
      ahead = isBehind ? readBatch(upTo) : null;
      return batch;
    },
    seek: async (number) => {
      await ahead;
      ahead = null;
      await returnTo(number);
    },
    close: async () => {
      await ahead;
      await reader.close();
    },
  };
}
