/**
 * The Splunk sink: HTTP Event Collector, confirmed by indexer acknowledgement. A 200 says only that
 * the events are in a queue; the channel is asked, at the same endpoint, until the indexers have them.
 * What they do not acknowledge in time goes again on a new channel: at least once, tenant and
 * `event_id` tell repeats, since the protocol has no key of its own.
 */
import { randomUUID } from 'node:crypto';
import type { SplunkExporterConfig } from '../../../schemas/exporter-config.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../ports.ts';
import type { DocumentFormat } from '../documents.ts';
import { pause, realTiming } from '../timing.ts';
import { createHttpSender } from './http.ts';
import { openBatch } from './open-batch.ts';
import { formatEvents, readAckAnswer, readEventAnswer } from './splunk-protocol.ts';

/** Pauses between two questions for an acknowledgement; the first is short, for a quiet indexer. */
const POLL_MS_MIN = 20;
const POLL_MS_MAX = 1_000;

/** Creates the sink; connects at the first batch. */
export function createSplunkSink(
  config: SplunkExporterConfig,
  format: DocumentFormat,
  nowMs: () => number,
): Sink {
  const { name } = config;
  const http = createHttpSender(config, { authorization: `Splunk ${config.token}` }, nowMs);
  let channel = randomUUID();

  /** Null once the indexers have it, otherwise why the batch goes again. */
  async function whenAcked(
    ackId: number,
    endpoint: number,
    signal: AbortSignal,
  ): Promise<DeliveryResult | null> {
    // Not by a clock that may be set back: it would wait until that has caught up.
    const untilMs = performance.now() + config.ack_timeout_ms;
    const request = {
      path: `/services/collector/ack?channel=${channel}`,
      headers: { 'content-type': 'application/json', 'x-splunk-request-channel': channel },
      body: JSON.stringify({ acks: [ackId] }),
      endpoint,
    };
    let last: DeliveryResult | null = null;
    for (let waitMs = POLL_MS_MIN; ; waitMs = Math.min(waitMs * 2, POLL_MS_MAX)) {
      const answer = await http.send(request, signal);
      if (signal.aborted) return { kind: 'failed', reason: 'stopped' };
      const acked = answer.ok
        ? readAckAnswer(answer.value, ackId)
        : ({ kind: 'failed', reason: answer.error } as const);
      if (acked === true) return null;
      last = acked === false ? null : acked;
      const leftMs = untilMs - performance.now();
      const askedMs = last?.kind === 'failed' ? (last.retryAfterMs ?? 0) : 0;
      if (leftMs <= 0 || askedMs > leftMs) break;
      await pause(realTiming, Math.min(Math.max(waitMs, askedMs), leftMs), signal);
    }
    return (
      last ?? {
        kind: 'failed',
        reason: `the indexers did not acknowledge within ${config.ack_timeout_ms} ms`,
      }
    );
  }

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const batch = await openBatch(records, format);
    let plain = !config.gzip;
    // Each round takes out one event that Splunk will not have.
    while (batch.items().length > 0) {
      const items = batch.items();
      const answer = await http.send(
        {
          path: '/services/collector/event',
          headers: { 'content-type': 'application/json', 'x-splunk-request-channel': channel },
          body: formatEvents(items, config),
          plain,
        },
        signal,
      );
      if (!answer.ok) return failure(batch.settleFailure, answer.error);
      const verdict = readEventAnswer(answer.value, items.length, config.acknowledge);
      if (verdict.kind === 'refused') return batch.settleFailure(verdict.result);
      if (verdict.kind === 'invalid') {
        const { at, reason } = verdict;
        // What cannot gunzip finds fault with every event: a verdict counts of the events as they are.
        if (plain && at === null) return batch.settleFailure({ kind: 'too_large', reason });
        if (plain && at !== null) batch.reject([{ at, reason }]);
        plain = true;
        continue;
      }
      if (verdict.ackId === null) break;
      const missing = await whenAcked(verdict.ackId, answer.value.endpoint, signal);
      if (missing === null) break;
      // Numbers of acknowledgements may begin anew where a server was restarted: never mix two lives.
      channel = randomUUID();
      return batch.settleFailure(missing);
    }
    return batch.settle();
  }

  return { name, deliver, close: () => http.close() };
}

function failure(
  settleFailure: (result: DeliveryResult) => DeliveryResult,
  reason: string,
): DeliveryResult {
  return settleFailure({ kind: 'failed', reason });
}
