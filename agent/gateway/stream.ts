/**
 * The JetStream stream of a gateway, and the consumers of its shards. A stream that may drop what nobody
 * has taken out is refused: a full stream must turn agents away, who keep their records in the ledger.
 */
import type {
  Consumer,
  ConsumerConfig,
  JetStreamClient,
  JetStreamManager,
  StreamConfig,
} from '@nats-io/jetstream';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { codeOfApi } from '../nats-connection.ts';
import { shardFilter } from '../nats-subject.ts';

export interface StreamOptions {
  readonly stream: string;
  readonly subjectPrefix: string;
  readonly consumer: string;
  readonly createStream: boolean;
  readonly ackWaitMs: number;
}

const NANOSECONDS = 1_000_000;
const STREAM_NOT_FOUND = 10_059;
const CONSUMER_NOT_FOUND = 10_014;
/** Records that wait for one predecessor must not keep the rest of a shard from being handed out. */
const UNANSWERED_MAX = 100_000;

/** Why a stream could lose a record; empty when it cannot. Pure. */
export function findStreamFaults(config: StreamConfig, subjectPrefix: string): readonly string[] {
  const faults: string[] = [];
  if (config.storage !== 'file') faults.push('storage is not file: a restart forgets its records');
  if (config.discard !== 'new')
    faults.push('discard is not new: a full stream drops its oldest records');
  if (config.max_age > 0) faults.push('max_age is set: records end before they are taken out');
  if (config.max_msgs_per_subject > 0 && config.discard_new_per_subject !== true)
    faults.push('max_msgs_per_subject is set: records push out one another');
  // What is stored leaves the stream, and what is in it is not stored: so a consumer can be made anew.
  if (config.retention !== 'workqueue')
    faults.push(`retention is ${config.retention}, not workqueue: what a consumer forgets is lost`);
  if (config.no_ack === true) faults.push('no_ack is set: agents hear of nothing');
  if (
    !config.subjects.includes(`${subjectPrefix}.>`) &&
    !config.subjects.includes(`${subjectPrefix}.*.*`)
  )
    faults.push(`subjects do not include ${subjectPrefix}.*.*`);
  return faults;
}

/** Checks the stream, and makes it where that is wanted. */
export async function prepareStream(
  manager: JetStreamManager,
  options: StreamOptions,
): Promise<Result<void, string>> {
  const { stream, subjectPrefix } = options;
  try {
    const config = await readOrCreate(manager, options);
    const faults = findStreamFaults(config, subjectPrefix);
    if (faults.length > 0) return err(`stream ${stream} may lose records: ${faults.join('; ')}`);
    return ok(undefined);
  } catch (error) {
    return err(`stream ${stream}: ${messageOf(error)}`);
  }
}

/**
 * Makes the durable consumer of a shard anew, for whoever takes the shard over. Its old state is worth
 * nothing: what is not stored is still in the stream. And it can be wrong. A nats-server that was killed
 * comes back with messages that were answered before (a consumer that goes on never hands them out, so
 * they would stay), and with answered ones noted as unanswered, over which 2.9 stops handing out at all.
 */
export async function renewConsumer(
  client: JetStreamClient,
  options: StreamOptions,
  shard: string,
): Promise<Consumer> {
  const manager = await client.jetstreamManager(false);
  const config = consumerOf(options, shard);
  try {
    await manager.consumers.delete(options.stream, config.durable_name);
  } catch (error) {
    if (codeOfApi(error) !== CONSUMER_NOT_FOUND) throw error;
  }
  await manager.consumers.add(options.stream, config);
  return client.consumers.get(options.stream, config.durable_name);
}

function consumerOf(
  options: StreamOptions,
  shard: string,
): Partial<ConsumerConfig> & { readonly durable_name: string } {
  return {
    durable_name: `${options.consumer}-${shard}`,
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
    if (!createStream || codeOfApi(error) !== STREAM_NOT_FOUND) throw error;
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
