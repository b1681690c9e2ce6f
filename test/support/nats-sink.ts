/** The NATS sink as tests open it. */
import { createNatsSink, type NatsSinkContext } from '../../agent/deliver/sinks/nats.ts';
import type { Sink } from '../../agent/ports.ts';
import type { NatsExporterConfig } from '../../schemas/exporter-config.ts';
import { silentLog } from './append-stage.ts';
import { SINK_BASE } from './sinks.ts';

/** Opens one on a server; with `await using` it is closed. */
export function openNatsSink(
  url: string,
  over: Partial<NatsExporterConfig> = {},
  context: Partial<NatsSinkContext> = {},
): Sink & AsyncDisposable {
  const config: NatsExporterConfig = {
    ...SINK_BASE,
    ...{ name: 'nats', type: 'nats', servers: [url] },
    ...{ stream: 'SEALTRAIL', subject_prefix: 'sealtrail', inbox_prefix: '_INBOX' },
    ...over,
  };
  const sink = createNatsSink(config, { log: silentLog, onFork: () => undefined, ...context });
  return { ...sink, [Symbol.asyncDispose]: () => sink.close() };
}
