/**
 * The OpenTelemetry SDK behind the agent's own traces: loaded only when traces are configured, sends
 * spans by OTLP/HTTP (protobuf). The usual OTEL_* variables still count for what is not set here:
 * OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_*.
 */
import type { Context, ContextManager, Tracer } from '@opentelemetry/api';
import type { tracing } from '@opentelemetry/sdk-node';

export interface TraceExport {
  readonly tracer: Tracer;
  /** Sends what waits, for as long as an export may take. */
  stop(): Promise<void>;
}

/** Longest export, retries included: a stop waits for it, and so does the end of the process. */
const EXPORT_TIMEOUT_MS = 1_000;
const TRACES_PATH = 'v1/traces';

/** Starts the SDK; `onFailure` hears of each export that failed. */
export async function openTraceExport(options: {
  readonly endpoint: string;
  readonly version: string;
  readonly onFailure: (error: unknown) => void;
}): Promise<TraceExport> {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  const { NodeSDK, api, core, resources } = await import('@opentelemetry/sdk-node');
  const exporter = new OTLPTraceExporter({
    url: urlOf(options.endpoint),
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const watched: tracing.SpanExporter = {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.code !== core.ExportResultCode.SUCCESS) options.onFailure(result.error);
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
  const sdk = new NodeSDK({
    traceExporter: watched,
    resource: resources.defaultResource().merge(
      resources.resourceFromAttributes({
        'service.name': 'sealtrail-agent',
        'service.version': options.version,
      }),
    ),
    resourceDetectors: [resources.envDetector],
    contextManager: createRootContext(api.ROOT_CONTEXT),
    textMapPropagator: null,
    // Without these two the SDK would send metrics and logs as well.
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  return {
    tracer: api.trace.getTracer('sealtrail', options.version),
    stop: async () => {
      api.trace.disable();
      api.context.disable();
      await sdk.shutdown();
    },
  };
}

/** The endpoint as the OTLP exporter wants it: a base URL gets the path of its signal. */
function urlOf(endpoint: string): string {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith(`/${TRACES_PATH}`))
    url.pathname = `${url.pathname.replace(/\/*$/, '')}/${TRACES_PATH}`;
  return url.href;
}

/**
 * A context that is always the root: these spans have no parents. The SDK's own one rests on
 * AsyncLocalStorage, which on Node 20 makes every promise of the process dearer.
 */
function createRootContext(root: Context): ContextManager {
  const manager: ContextManager = {
    active: () => root,
    with: (_context, run, self, ...args) => run.apply(self, args),
    bind: (_context, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}
