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
import { forkSubject, parseForkNotice } from '../../fork-notice.ts';
import { codeOfApi, connectToNats } from '../../nats-connection.ts';
import { subjectOf, tenantToken } from '../../nats-subject.ts';
import type { DeliveryRecord, DeliveryResult, Fork, Logger, Sink } from '../../ports.ts';
import { summarizeVerdicts, type Verdict } from './bulk.ts';

/** Room for the headers beside the record, which count as payload. */
const HEADER_BYTES = 512;
/** JetStream's code for a message beyond the stream's max_msg_size. */
const TOO_LARGE = 10_054;

interface Link {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  /** Tenants whose forks this connection hears of. */
  readonly tenants: Set<string>;
}

export interface NatsSinkContext {
  readonly log: Pick<Logger, 'warn'>;
  /** Called where a gateway says that a place of the chain is taken. */
  readonly onFork: (fork: Fork) => void;
}

/** Creates the sink; connects at the first batch, and anew after a connection was lost. */
export function createNatsSink(config: NatsExporterConfig, { log, onFork }: NatsSinkContext): Sink {
  const { name, timeout_ms: timeoutMs, subject_prefix: prefix } = config;
  let link: Link | null = null;

  async function open(): Promise<Link> {
    if (link !== null && !link.connection.isClosed()) return link;
    const connection = await connectToNats({ config, name: `sealtrail ${name}`, timeoutMs });
    const { jetstream } = await import('@nats-io/jetstream');
    const client = jetstream(connection, { timeout: timeoutMs });
    link = { connection, client, tenants: new Set() };
    return link;
  }

  async function close(): Promise<void> {
    const ending = link;
    link = null;
    await ending?.connection.close();
  }

  /** Before the first record of a tenant leaves, so that what a gateway has against it is heard. */
  function listen({ connection, tenants }: Link, tenant: string): void {
    if (tenants.has(tenant)) return;
    tenants.add(tenant);
    connection.subscribe(forkSubject(prefix, tenantToken(tenant)), {
      callback: (error, message) => {
        if (error !== null) {
          log.warn(
            { sink: name, reason: messageOf(error) },
            'a gateway cannot tell of a fork: this user may not subscribe to it (docs/GATEWAY.md)',
          );
          return;
        }
        const fork = parseForkNotice(message.string());
        if (fork !== null) onFork(fork);
      },
    });
  }

  async function publish(opened: Link, record: DeliveryRecord): Promise<Verdict> {
    const { client, connection } = opened;
    const { event, eventText, prev_hash, this_hash } = record;
    listen(opened, event.resource.tenant_id);
    const payload = Buffer.from(formatRecord(eventText, prev_hash, this_hash).trimEnd());
    const bytesMax = (connection.info?.max_payload ?? Infinity) - HEADER_BYTES;
    if (payload.length > bytesMax)
      return {
        kind: 'poison',
        reason: `larger than the server's max_payload: ${payload.length} bytes`,
      };
    const subject = subjectOf(prefix, event.resource.tenant_id, event.chain.stream);
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
    signal.addEventListener('abort', hangUp, { once: true });
    try {
      const opened = await open();
      // While it connected there was nothing to hang up.
      signal.throwIfAborted();
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
