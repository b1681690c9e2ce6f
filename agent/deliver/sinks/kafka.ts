/**
 * The Kafka sink: one produce call a batch, confirmed once every replica in sync has it (acks=-1).
 * Messages are keyed by stream or tenant and sent one batch at a time, so a key's records stand in its
 * partition in order. Within a producer the broker tells a repeated message (idempotence); after a
 * failure nobody knows which partitions took their part, so the producer is dropped and the batch goes
 * again as a whole: repeats are told by the headers tenant and event_id.
 */
import type { Message } from 'kafkajs';
import type { KafkaExporterConfig } from '../../../schemas/exporter-config.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../ports.ts';
import { mapRecords, type DocumentFormat } from '../documents.ts';
import { openKafkaProducer, type KafkaProducer } from './kafka-producer.ts';
import { describeFailure, isOfTheBatch } from './kafka-failure.ts';

/** Creates the sink; loads the client and connects at the first batch. */
export function createKafkaSink(config: KafkaExporterConfig, format: DocumentFormat): Sink {
  const { name, timeout_ms: timeoutMs } = config;
  let producer: KafkaProducer | null = null;

  async function drop(): Promise<void> {
    const dropped = producer;
    producer = null;
    await dropped?.close();
  }

  async function send(messages: Message[]): Promise<'sent'> {
    producer ??= openKafkaProducer(config);
    await producer.send(messages);
    return 'sent';
  }

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const { lines, poison } = await mapRecords(records, format);
    const messages = records.flatMap((record, index) =>
      lines[index] ? [messageFor(record, lines[index], config.key)] : [],
    );
    if (messages.length === 0) return { kind: 'delivered', retry: [], poison };
    try {
      const outcome = await within(send(messages), timeoutMs, signal);
      if (outcome === 'sent') return { kind: 'delivered', retry: [], poison };
      await drop();
      return { kind: 'failed', reason: outcome === 'stopped' ? outcome : 'no answer: timeout' };
    } catch (error) {
      await drop();
      return { kind: isOfTheBatch(error) ? 'too_large' : 'failed', reason: describeFailure(error) };
    }
  }

  return { name, deliver, close: drop };
}

/** The document as the value; what tells and proves a record as headers, to be read without it. */
function messageFor(record: DeliveryRecord, line: string, key: 'stream' | 'tenant'): Message {
  const { event_id, chain, resource } = record.event;
  return {
    key: key === 'stream' ? chain.stream : resource.tenant_id,
    value: line.endsWith('\n') ? line.slice(0, -1) : line,
    headers: {
      event_id,
      tenant: resource.tenant_id,
      stream: chain.stream,
      seq: String(chain.seq),
      prev_hash: record.prev_hash,
      this_hash: record.this_hash,
    },
  };
}

/** What came first: the outcome, the time, or the signal. */
async function within<T>(
  work: Promise<T>,
  ms: number,
  signal: AbortSignal,
): Promise<T | 'timeout' | 'stopped'> {
  let end: () => void = () => undefined;
  const limit = new Promise<'timeout' | 'stopped'>((resolve) => {
    const timer = setTimeout(() => resolve('timeout'), ms);
    const stop = (): void => resolve('stopped');
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    };
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    end();
  }
}
