/** What the tests of sinks share: records on their way, a sink of the configuration in hand, one try of a batch. */
import { documentFormat, type DocumentFormat } from '../../agent/deliver/documents.ts';
import { send as sendInHalves, type Sent } from '../../agent/deliver/sending.ts';
import { openSink } from '../../agent/deliver/sinks/open.ts';
import { realTiming } from '../../agent/deliver/timing.ts';
import type { DeliveryRecord, DeliveryResult, Logger, Sink } from '../../agent/ports.ts';
import type { ExporterConfig, FileExporterConfig } from '../../schemas/exporter-config.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import { createSealer, type EventFields, type Sealer } from '../store/sealed.ts';
import { silentLog } from './append-stage.ts';

export const NO_VOCABULARY: Vocabulary = { version: 1, actions: new Map() };
export const AGENT = { name: 'host-1', version: '1.0.0' } as const;

/** What every exporter's configuration has, in a hurry. */
export const SINK_BASE: Pick<
  FileExporterConfig,
  'batch_records_max' | 'batch_bytes_max' | 'timeout_ms' | 'retry' | 'required'
> = {
  batch_records_max: 1_000,
  batch_bytes_max: 1 << 20,
  // Nobody waits for it; a test about a peer that does not answer has a shorter one.
  timeout_ms: 30_000,
  retry: { initial_ms: 1, max_ms: 10, attempts_max: 0 },
  required: true,
};

/** Records of these streams in turn, with text that has to be escaped. */
export function sealedRecords(
  count: number,
  fields: (number: number) => EventFields = () => ({}),
  sealers: readonly Sealer[] = [createSealer()],
): readonly DeliveryRecord[] {
  return Array.from({ length: count }, (_, number) => {
    const sealer = sealers[number % sealers.length] ?? createSealer();
    const metadata = { note: 'größer "]\\\n' };
    return { ...sealer.seal({ metadata, resourceId: `c-${number}`, ...fields(number) }), number };
  });
}

export const testFormat = (
  name: Parameters<typeof documentFormat>[0],
  vocabulary: Vocabulary = NO_VOCABULARY,
): DocumentFormat => documentFormat(name, vocabulary, AGENT);

/** Opens the sink as an agent does; with `await using` it is closed. */
export async function openTestSink(
  exporter: ExporterConfig,
  vocabulary: Vocabulary = NO_VOCABULARY,
  log: Logger = silentLog,
): Promise<Sink & AsyncDisposable> {
  const onFork = (): void => undefined;
  const sink = await openSink(exporter, { dataDir: '', vocabulary, agent: AGENT, log, onFork });
  return { ...sink, [Symbol.asyncDispose]: () => sink.close() };
}

/** One try as a loop makes it: what is too large goes in halves. */
export const sendAll = (sink: Sink, batch: readonly DeliveryRecord[]): Promise<Sent> =>
  sendInHalves(
    {
      sink,
      timing: realTiming,
      signal: new AbortController().signal,
      onReport: () => undefined,
    },
    batch,
  );

/** One request. */
export const send = (
  sink: Sink,
  batch: readonly DeliveryRecord[],
  signal: AbortSignal = new AbortController().signal,
): Promise<DeliveryResult> => sink.deliver(batch, signal);
