/**
 * Traces of the shop, with the stock OpenTelemetry SDK: spans go to a file, one line of JSON each,
 * or to a collector when OTEL_EXPORTER_OTLP_ENDPOINT is set and no file is named.
 */
import { mkdirSync, appendFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  context,
  propagation,
  trace,
  type Span,
} from '@opentelemetry/api';
import { NodeSDK, core, type tracing } from '@opentelemetry/sdk-node';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { currentCorrelation } from '../../sdk/index.ts';

const tracer = trace.getTracer('shop');

/** Starts the SDK; shutdown() exports what is left. */
export function startTracing(
  serviceName: string,
  file: string | undefined,
): { shutdown(): Promise<void> } {
  const sdk = new NodeSDK({
    serviceName,
    // Audit events and metrics are none of its business here.
    logRecordProcessors: [],
    metricReaders: [],
    ...(file === undefined ? {} : { spanProcessors: [createFileProcessor(file)] }),
  });
  sdk.start();
  return sdk;
}

/** Writes each span that ends as a line. */
function createFileProcessor(file: string): tracing.SpanProcessor {
  mkdirSync(dirname(file), { recursive: true });
  return {
    onStart: () => undefined,
    onEnd(span) {
      const line = {
        trace_id: span.spanContext().traceId,
        span_id: span.spanContext().spanId,
        parent_span_id: span.parentSpanContext?.spanId ?? null,
        name: span.name,
        start: new Date(core.hrTimeToMilliseconds(span.startTime)).toISOString(),
        duration_ms: Math.round(core.hrTimeToMilliseconds(span.duration)),
        failed: span.status.code === SpanStatusCode.ERROR,
        ...span.attributes,
      };
      appendFileSync(file, JSON.stringify(line) + '\n');
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}

/** Runs `work` in a span of its own, which carries the request's id. */
export async function inSpan<T>(name: string, work: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, { attributes: { ...requestId() } }, async (span) => {
    try {
      return await work();
    } catch (thrown) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw thrown;
    } finally {
      span.end();
    }
  });
}

/**
 * Opens a span for each request, below the caller's where a traceparent came in. To be added
 * before the audit context, which takes its trace from the active span.
 */
export function traceRequests(app: FastifyInstance): void {
  const spans = new WeakMap<FastifyRequest, Span>();
  app.addHook('onRequest', (request, _reply, done) => {
    const parent = propagation.extract(ROOT_CONTEXT, request.headers);
    const name = `${request.method} ${request.routeOptions.url ?? '(no route)'}`;
    const span = tracer.startSpan(name, { kind: SpanKind.SERVER }, parent);
    spans.set(request, span);
    context.with(trace.setSpan(parent, span), done);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const span = spans.get(request);
    span?.setAttributes({ ...requestId(), 'http.response.status_code': reply.statusCode });
    span?.end();
    done();
  });
}

function requestId(): { readonly request_id?: string } {
  const { request_id: id } = currentCorrelation();
  return id === undefined ? {} : { request_id: id };
}
