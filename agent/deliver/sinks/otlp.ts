/**
 * The OTLP sink: logs over HTTP to a Collector or anything that takes them (OTLP 1.x, "OTLP/HTTP").
 * A partial success says how many records were rejected, not which: the batch goes in halves until
 * each is known, so what was accepted arrives more than once and `audit.record.id` tells repeats.
 */
import type { OtlpExporterConfig } from '../../../schemas/exporter-config.ts';
import type { MappingAgent } from '../../../schemas/mapping.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../ports.ts';
import type { DocumentFormat } from '../documents.ts';
import { createHttpSender, failedBy, type HttpAnswer } from './http.ts';
import { openBatch, type OpenBatch } from './open-batch.ts';
import { encodeLogs, readRejected } from './otlp-encode.ts';
import { logsRequest, type LogsRequest } from './otlp-logs.ts';

const REJECTED = 'rejected by the receiver';
const WITHOUT_RECORDS: LogsRequest = {
  resourceLogs: [{ resource: { attributes: [] }, scopeLogs: [] }],
};

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** Creates the sink; connects at the first batch. */
export function createOtlpSink(
  config: OtlpExporterConfig,
  format: DocumentFormat,
  agent: MappingAgent,
  nowMs: () => number,
): Sink {
  const { name, encoding } = config;
  const http = createHttpSender(config, config.headers, nowMs);
  const isJson = encoding === 'json';
  const headers = { 'content-type': isJson ? 'application/json' : 'application/x-protobuf' };

  function send(
    request: LogsRequest,
    signal: AbortSignal,
  ): ReturnType<ReturnType<typeof createHttpSender>['send']> {
    const body = isJson ? JSON.stringify(request) : encodeLogs(request);
    return http.send({ path: '/v1/logs', headers, body }, signal);
  }

  /**
   * A receiver that refuses a request without records, which it should answer with success (OTLP 1.x,
   * "Empty Telemetry Data"), refuses us, and no record. Not an empty body: that would not be compressed.
   */
  async function takesRequests(signal: AbortSignal): Promise<boolean> {
    const answer = await send(WITHOUT_RECORDS, signal);
    return answer.ok && isSuccess(answer.value.status);
  }

  async function judge(
    answer: HttpAnswer,
    batch: OpenBatch,
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const { status, bytes } = answer;
    const count = batch.items().length;
    // The protocol says 200; there are receivers that answer 204.
    if (isSuccess(status)) {
      const rejected = readRejected(bytes, encoding);
      if (rejected === null) return failedBy(answer, 'the answer is not one of an OTLP receiver');
      if (rejected === 0) return batch.settle();
      // Fewer, or more than were sent: it does not say which.
      if (rejected !== count && count > 1)
        return { kind: 'too_large', reason: `${REJECTED} (partial success)` };
      batch.reject(batch.items().map((_, at) => ({ at, reason: `${REJECTED} (partial success)` })));
      return batch.settle();
    }
    if (status === 413) return { kind: 'too_large', reason: 'too large for the receiver (413)' };
    if ((status === 400 || status === 422) && (await takesRequests(signal)))
      return { kind: 'too_large', reason: `${REJECTED} (${status})` };
    return failedBy(answer);
  }

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const batch = await openBatch(records, format);
    const items = batch.items();
    if (items.length === 0) return batch.settle();
    const answer = await send(logsRequest(items, agent), signal);
    if (!answer.ok) return batch.settleFailure({ kind: 'failed', reason: answer.error });
    return batch.settleFailure(await judge(answer.value, batch, signal));
  }

  return { name, deliver, close: () => http.close() };
}
