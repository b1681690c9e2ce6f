/**
 * The JetStream stream and the consumers of a gateway. A stream that may drop what nobody has taken out
 * is refused: a full stream must turn agents away, who keep their records in the ledger.
 */
import type { ConsumerConfig, JetStreamManager, StreamConfig } from '@nats-io/jetstream';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { shardFilter, SHARDS } from '../nats-subject.ts';

export interface StreamOptions {
  readonly stream: string;
  readonly subjectPrefix: string;
  readonly consumer: string;
  readonly createStream: boolean;
  readonly ackWaitMs: number;
}

const NANOSECONDS = 1_000_000;
const STREAM_NOT_FOUND = 10_059;
/** Records that wait for one predecessor must not keep the rest of a shard from being handed out. */
const UNANSWERED_MAX = 100_000;

/** Why a stream could lose a record; empty when it cannot. Pure. */
export function findStreamFaults(config: StreamConfig, subjectPrefix: string): readonly string[] {
  const faults: string[] = [];
  const isWorkQueue = config.retention === 'workqueue';
  if (config.storage !== 'file') faults.push('storage is not file: a restart forgets its records');
  if (config.discard !== 'new')
    faults.push('discard is not new: a full stream drops its oldest records');
  if (config.max_age > 0) faults.push('max_age is set: records end before they are taken out');
  if (config.max_msgs_per_subject > 0 && config.discard_new_per_subject !== true)
    faults.push('max_msgs_per_subject is set: records push out one another');
  if (!isWorkQueue && config.retention !== 'limits')
    faults.push('retention is interest: what comes before the consumers is dropped');
  if (config.no_ack === true) faults.push('no_ack is set: agents hear of nothing');
  if (
    !config.subjects.includes(`${subjectPrefix}.>`) &&
    !config.subjects.includes(`${subjectPrefix}.*.*`)
  )
    faults.push(`subjects do not include ${subjectPrefix}.*.*`);
  return faults;
}

/** Checks the stream, makes it where that is wanted, and makes a durable consumer a shard. */
export async function prepareStream(
  manager: JetStreamManager,
  options: StreamOptions,
): Promise<Result<void, string>> {
  const { stream, subjectPrefix } = options;
  try {
    const config = await readOrCreate(manager, options);
    const faults = findStreamFaults(config, subjectPrefix);
    if (faults.length > 0) return err(`stream ${stream} may lose records: ${faults.join('; ')}`);
    for (const shard of SHARDS) await manager.consumers.add(stream, consumerOf(options, shard));
    return ok(undefined);
  } catch (error) {
    return err(`stream ${stream}: ${messageOf(error)}`);
  }
}

/** Name of the durable consumer of a shard. */
export function consumerName(consumer: string, shard: string): string {
  return `${consumer}-${shard}`;
}

function consumerOf(options: StreamOptions, shard: string): Partial<ConsumerConfig> {
  return {
    durable_name: consumerName(options.consumer, shard),
    filter_subject: shardFilter(options.subjectPrefix, shard),
    ack_policy: 'explicit',
    deliver_policy: 'all',
    ack_wait: options.ackWaitMs * NANOSECONDS,
    max_ack_pending: UNANSWERED_MAX,
    max_deliver: -1,
  };
}

async function readOrCreate(
  manager: JetStreamManager,
  { stream, subjectPrefix, createStream }: StreamOptions,
): Promise<StreamConfig> {
  try {
    return (await manager.streams.info(stream)).config;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (!createStream || code !== STREAM_NOT_FOUND) throw error;
  }
  const made = await manager.streams.add({
    name: stream,
    subjects: [`${subjectPrefix}.*.*`],
    storage: 'file',
    retention: 'workqueue',
    discard: 'new',
    num_replicas: 1,
  });
  return made.config;
}
