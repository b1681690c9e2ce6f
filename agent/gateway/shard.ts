/**
 * Consumes one shard: what has gathered while the last batch was stored is the next one. One batch at a
 * time, so that within a gateway a stream's records keep their order.
 */
import type { Consumer, ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { messageOf } from '../../schemas/result.ts';
import type { GatewayMessage } from './incoming.ts';

export interface ShardOptions {
  readonly consumer: Consumer;
  readonly batchRecordsMax: number;
  /** MUST answer every message, or hold it until it comes again. */
  readonly handle: (messages: readonly GatewayMessage[], signal: AbortSignal) => Promise<void>;
  readonly onFailed: (reason: string) => void;
}

export interface ShardWorker {
  /** Whether nothing has come for so long although messages are there for it. */
  isStalled(silentMsMax: number): Promise<boolean>;
  /** Takes no more, lets the batch under way end, or cuts it at the signal, and hands back the rest. */
  stop(cut: AbortSignal): Promise<void>;
}

/** Starts to consume. */
export async function startShard(options: ShardOptions): Promise<ShardWorker> {
  const { consumer, batchRecordsMax, handle, onFailed } = options;
  const gathered: JsMsg[] = [];
  const ending = new AbortController();
  let isStopping = false;
  let isHandling = false;
  let heardMs = performance.now();
  let wake: () => void = () => undefined;
  const messages = await consumer.consume({ max_messages: batchRecordsMax });

  async function gather(source: ConsumerMessages): Promise<void> {
    for await (const message of source) {
      gathered.push(message);
      heardMs = performance.now();
      wake();
    }
  }

  async function work(): Promise<void> {
    while (!isStopping) {
      if (gathered.length === 0) {
        await new Promise<void>((woken) => (wake = woken));
        continue;
      }
      isHandling = true;
      await handle(gathered.splice(0, batchRecordsMax).map(toMessage), ending.signal);
      isHandling = false;
      heardMs = performance.now();
    }
  }

  const fail = (error: unknown): void => {
    if (!isStopping) onFailed(messageOf(error));
  };
  const gathering = gather(messages).then(() => fail('the consumer ended'), fail);
  const working = work().catch(fail);

  return {
    isStalled: async (silentMsMax) => {
      if (isHandling || gathered.length > 0) return false;
      if (performance.now() - heardMs < silentMsMax) return false;
      heardMs = performance.now();
      const { num_pending: pending, num_ack_pending: unanswered } = await consumer.info();
      return pending + unanswered > 0;
    },
    stop: async (cut) => {
      isStopping = true;
      wake();
      const abort = (): void => ending.abort();
      cut.addEventListener('abort', abort, { once: true });
      if (cut.aborted) abort();
      messages.stop();
      await working;
      await gathering;
      cut.removeEventListener('abort', abort);
      for (const message of gathered.splice(0)) message.nak();
    },
  };
}

function toMessage(message: JsMsg): GatewayMessage {
  return {
    subject: message.subject,
    data: message.data,
    number: message.seq,
    deliveries: message.info.deliveryCount,
    ack: () => message.ack(),
    nak: (delayMs) => message.nak(delayMs),
    // Without a reason: servers before 2.10.4 take none.
    term: () => message.term(),
  };
}
