/**
 * The archive: sealed records in S3 under Object Lock, a batch an object of each retention class. Confirmed is
 * what the server says stands there, locked. Records gather for `segment_age_ms`, in the ledger and not here:
 * what is not confirmed is read again after a crash.
 */
import { findCover, readSignedNotes } from '../../../ledger/signed-notes.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import type { S3ExporterConfig } from '../../../schemas/archive-config.ts';
import { ArchiveError, createArchiveClient } from '../../../store/archive/client.ts';
import type { StreamRange } from '../../../store/archive/manifest.ts';
import { createArchiveWriter } from '../../../store/archive/writer.ts';
import type { DeliveryRecord, DeliveryResult, Logger, Sink } from '../../ports.ts';
import { pause, type Timing } from '../timing.ts';

export interface S3SinkContext {
  /** Where the checkpoints are. */
  readonly dataDir: string;
  readonly log: Pick<Logger, 'warn' | 'error'>;
  readonly timing: Timing;
}

/** A record is signed within a second, unless something is wrong; then it is archived without. A process that stood still has not looked. */
const COVER_LOOKS = 30;
const COVER_LOOK_MS = 100;

/** Creates the sink; loads the SDK and connects at the first batch. */
export function createS3Sink(config: S3ExporterConfig, context: S3SinkContext): Sink {
  const { name } = config;
  const { dataDir, log, timing } = context;
  let stopping = new AbortController();
  const client = createArchiveClient(config, {
    timeoutMs: config.timeout_ms,
    signal: () => stopping.signal,
  });
  const writer = createArchiveWriter({
    client,
    lock: config,
    retainDays: config.retain_days,
    nowMs: timing.nowMs,
    checkpointsOf,
  });

  /** Waits for the checkpoints that cover these records, and takes the anchor log's newest as well. */
  async function checkpointsOf(streams: readonly StreamRange[]): Promise<readonly string[]> {
    const sizes = new Map(streams.map(({ stream, to }) => [stream, BigInt(to)]));
    const anchors = new Set(streams.map(({ stream }) => stream.split('/').slice(0, 3).join('/')));
    for (let looks = 0; ; looks += 1) {
      const wanted = (origin: string): boolean => sizes.has(origin) || anchors.has(origin);
      const notes = await readSignedNotes(nodeFilesystem, dataDir, wanted);
      if (notes === null) return [];
      const covers = [...sizes].map(([stream, size]) => findCover(notes.get(stream), size));
      const newest = [...anchors].map((origin) => notes.get(origin)?.at(-1)?.note);
      const found = [...covers, ...newest].filter((note) => typeof note === 'string');
      if (!covers.includes(null)) return found;
      if (looks === COVER_LOOKS || stopping.signal.aborted) {
        log.warn(
          { sink: name },
          'records are archived under no checkpoint: nothing was signed for them in time',
        );
        return found;
      }
      await pause(timing, COVER_LOOK_MS, stopping.signal);
    }
  }

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    stopping = new AbortController();
    const stop = (): void => stopping.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      const { foreign } = await writer.archive(records);
      if (foreign.length > 0)
        log.error(
          { sink: name, count: foreign.length, path: foreign[0] },
          'objects of somebody else stand where these records begin: a clone of this agent, or a forgery; run `sealtrail restore --check`',
        );
      return { kind: 'delivered', retry: [], poison: [] };
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      if (error.code === 'NotLocked') log.error({ sink: name }, error.message);
      return { kind: 'failed', reason: signal.aborted ? 'stopped' : error.message };
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  return {
    name,
    deliver,
    gatherMs: config.segment_age_ms,
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}
