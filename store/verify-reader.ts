/** Reads ranges of the store over a connection of its own, in a snapshot that another connection holds, and sums them up. */
import type { ClientBase } from 'pg';
import type { KnownSizes } from '../ledger/verify/summary.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { createConnection } from './connection.ts';
import { copyOut } from './copy-out.ts';
import { classifyDatabaseError } from './database-error.ts';
import {
  createRangeJudges,
  selectRange,
  type RangeSummary,
  type RangeTask,
} from './verify-range.ts';

export interface RangeReaderOptions {
  readonly url: string;
  readonly tls: TlsClientConfig | undefined;
  /** What pg_export_snapshot() gave the connection that holds it. */
  readonly snapshot: string;
  /** Null: no trees are grown. */
  readonly known: KnownSizes | null;
}

export interface RangeReader {
  /** Null: it has to be read row by row. Rejects with a sentence. */
  read(task: RangeTask): Promise<RangeSummary | null>;
  close(): void;
}

/**
 * A range is read along the primary key. The planner, which does not know that rows lie in its order, would sometimes read
 * all of a partition for each range, and compile a plan that is run once.
 */
const ALONG_THE_KEY = `
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off`;
/** As long as a large range may take on a server that has other things to do. */
const STATEMENT_TIMEOUT_MS = 600_000;

/** Creates a reader; connects with the first range. */
export function createRangeReader({ url, tls, snapshot, known }: RangeReaderOptions): RangeReader {
  const connection = createConnection({
    ...{
      url,
      timeoutMs: STATEMENT_TIMEOUT_MS,
      applicationName: 'sealtrail verify',
      pipeline: false,
    },
    ...(tls === undefined ? {} : { tls }),
  });
  const judgeOf = createRangeJudges(known);
  let begun: Promise<ClientBase> | null = null;
  let last: Promise<unknown> = Promise.resolve();

  async function begin(): Promise<ClientBase> {
    const client = await connection.client();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query(`SET TRANSACTION SNAPSHOT '${snapshot.replaceAll("'", '')}'`);
    await client.query(ALONG_THE_KEY);
    return client;
  }

  async function read(task: RangeTask): Promise<RangeSummary | null> {
    begun ??= begin();
    const judge = judgeOf(task);
    // One after the other: this connection does not pipeline.
    const copied = Promise.all([begun, last]).then(([client]) =>
      copyOut(client, selectRange(task), judge.take),
    );
    last = Promise.allSettled([copied]);
    await copied;
    // The next rows are asked for before these are judged.
    await new Promise((settle) => setImmediate(settle));
    return judge.conclude();
  }

  return {
    read: async (task) => {
      try {
        return await read(task);
      } catch (error) {
        const { message } = classifyDatabaseError(error);
        throw new Error(`${message} (over one of several connections; --threads 0 takes one)`, {
          cause: error,
        });
      }
    },
    close: () => connection.drop(),
  };
}
