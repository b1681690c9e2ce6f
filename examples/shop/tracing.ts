/**
 * Traces of the shop, with the stock OpenTelemetry SDK: spans go to a file, a line of OTLP/JSON each,
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
  type Attributes,
  type HrTime,
  type Span,
} from '@opentelemetry/api';
import { NodeSDK, type tracing } from '@opentelemetry/sdk-node';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { currentContext, currentCorrelation } from '../../sdk/index.ts';

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

/** Writes each span that ends as a line of OTLP/JSON, as a collector's file exporter does. */
function createFileProcessor(file: string): tracing.SpanProcessor {
  mkdirSync(dirname(file), { recursive: true });
  return {
    onStart: () => undefined,
    onEnd(span) {
      const { traceId, spanId } = span.spanContext();
      const line = {
        traceId,
        spanId,
        parentSpanId: span.parentSpanContext?.spanId ?? '',
        name: span.name,
        // The API counts kinds from 0, the protocol from 1.
        kind: span.kind + 1,
        startTimeUnixNano: nanosOf(span.startTime),
        endTimeUnixNano: nanosOf(span.endTime),
        attributes: toAttributes(span.attributes),
        status: { code: span.status.code },
      };
      const resource = { attributes: toAttributes(span.resource.attributes) };
      const scopeSpans = [{ scope: { name: span.instrumentationScope.name }, spans: [line] }];
      appendFileSync(file, JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }) + '\n');
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}

function nanosOf([seconds, nanos]: HrTime): string {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
}

function toAttributes(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value:
      typeof value === 'number' && Number.isInteger(value)
        ? { intValue: String(value) }
        : { stringValue: String(value) },
  }));
}

/** Runs `work` in a span of its own, which carries the ids of the request and of its user. */
export async function inSpan<T>(name: string, work: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, { attributes: ofRequest() }, async (span) => {
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
    span?.setAttributes({ ...ofRequest(), 'http.response.status_code': reply.statusCode });
    span?.end();
    done();
  });
}

/** What leads from a span to its request, and from a person to the span. */
function ofRequest(): Attributes {
  const { request_id: id } = currentCorrelation();
  const user = currentContext().actor?.id;
  return { ...(id && { request_id: id }), ...(typeof user === 'string' && { 'user.id': user }) };
}
