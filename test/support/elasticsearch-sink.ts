/** The Elasticsearch sink with records to send. */
import { createElasticsearchSink } from '../../agent/deliver/sinks/elasticsearch.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../agent/ports.ts';
import type { ElasticsearchExporterConfig } from '../../schemas/exporter-config.ts';
import { createSealer } from '../store/sealed.ts';
import { SINK_BASE, testFormat } from './sinks.ts';

const sealer = createSealer();
/** Twenty of acme, with text that has to be escaped. */
export const records: readonly DeliveryRecord[] = Array.from({ length: 20 }, (_, number) => ({
  ...sealer.seal({ metadata: { note: 'größer "\n' }, resourceId: `c-${number}` }),
  number,
}));
/** What they are kept under, in their order. */
export const ids: readonly string[] = records.map(({ event }) => `acme:${event.event_id}`);
/** The clock of the sink stands here. */
const NOW_MS = Date.parse('2026-03-01T10:00:00Z');

/** Opens the sink on these servers; with `await using` it is closed. */
export function openElasticsearchSink(
  endpoints: readonly string[],
  over: Partial<ElasticsearchExporterConfig> = {},
): Sink & AsyncDisposable {
  const config: ElasticsearchExporterConfig = {
    ...SINK_BASE,
    name: 'elasticsearch',
    type: 'elasticsearch',
    endpoints,
    data_stream: 'logs-sealtrail.audit-default',
    format: 'ecs',
    gzip: true,
    ...over,
  };
  const sink = createElasticsearchSink(config, testFormat(config.format), () => NOW_MS);
  return { ...sink, [Symbol.asyncDispose]: () => sink.close() };
}

/** One request; all records unless told otherwise. */
export const send = (
  sink: Sink,
  batch: readonly DeliveryRecord[] = records,
  signal: AbortSignal = new AbortController().signal,
): Promise<DeliveryResult> => sink.deliver(batch, signal);
