/**
 * The NATS JetStream sink: each sealed record is published as it stands in the ledger, so that whoever
 * takes it out again can verify it. Confirmed is what JetStream has acknowledged, record by record.
 *
 * The message id is this_hash, by which JetStream drops what is sent again. Not stream and number, which
 * anybody could guess: whoever may publish could then use up the id of a record that is still to come.
 */
import type { JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { formatRecord } from '../../../ledger/frame.ts';
import type { NatsExporterConfig } from '../../../schemas/exporter-config.ts';
import { messageOf } from '../../../schemas/result.ts';
import { codeOfApi, connectToNats } from '../../nats-connection.ts';
import { subjectOf } from '../../nats-subject.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../ports.ts';
import { summarizeVerdicts, type Verdict } from './bulk.ts';

/** Room for the headers beside the record, which count as payload. */
const HEADER_BYTES = 512;
/** JetStream's code for a message beyond the stream's max_msg_size. */
const TOO_LARGE = 10_054;

interface Link {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
}

/** Creates the sink; connects at the first batch, and anew after a connection was lost. */
export function createNatsSink(config: NatsExporterConfig): Sink {
  const { name, timeout_ms: timeoutMs } = config;
  let link: Link | null = null;

  async function open(): Promise<Link> {
    if (link !== null && !link.connection.isClosed()) return link;
    const connection = await connectToNats({ config, name: `sealtrail ${name}`, timeoutMs });
    const { jetstream } = await import('@nats-io/jetstream');
    link = { connection, client: jetstream(connection, { timeout: timeoutMs }) };
    return link;
  }

  async function close(): Promise<void> {
    const ending = link;
    link = null;
    await ending?.connection.close();
  }

  async function publish({ client, connection }: Link, record: DeliveryRecord): Promise<Verdict> {
    const { event, eventText, prev_hash, this_hash } = record;
    const payload = Buffer.from(formatRecord(eventText, prev_hash, this_hash).trimEnd());
    const bytesMax = (connection.info?.max_payload ?? Infinity) - HEADER_BYTES;
    if (payload.length > bytesMax)
      return {
        kind: 'poison',
        reason: `larger than the server's max_payload: ${payload.length} bytes`,
      };
    const subject = subjectOf(config.subject_prefix, event.resource.tenant_id, event.chain.stream);
    try {
      await client.publish(subject, payload, {
        msgID: this_hash,
        timeout: timeoutMs,
        expect: { streamName: config.stream },
      });
      return { kind: 'stored' };
    } catch (error) {
      if (codeOfApi(error) === TOO_LARGE)
        return {
          kind: 'poison',
          reason: `larger than the stream's max_msg_size: ${payload.length} bytes`,
        };
      return { kind: 'retry', reason: reasonOf(error) };
    }
  }

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const hangUp = (): void => void close();
    try {
      const opened = await open();
      signal.addEventListener('abort', hangUp, { once: true });
      // Pipelined: on one connection they leave in their order, and so each stream keeps its own.
      const verdicts = await Promise.all(records.map((record) => publish(opened, record)));
      return summarizeVerdicts(verdicts);
    } catch (error) {
      await close();
      return { kind: 'failed', reason: `cannot connect to NATS: ${messageOf(error)}` };
    } finally {
      signal.removeEventListener('abort', hangUp);
    }
  }

  return { name, deliver, close };
}

/** Nobody answers at a subject that no stream has; the client takes that for a missing JetStream. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'JetStreamNotEnabled')
    return 'no stream takes this subject, or the server has no JetStream';
  return messageOf(error);
}
