/**
 * Sampling decides which traces are worth their cost. No audit record may hang on it: whatever a
 * sampler says, records arrive, through a stock OpenTelemetry SDK and through ours. Each test shows
 * first that the sampler does drop what it is asked about: spans.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  context,
  ROOT_CONTEXT,
  trace,
  TraceFlags,
  type Context,
  type Span,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { logs, resources, tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAudit, createAuditLoggerProvider } from '../../sdk/index.ts';
import { startAgentProcess, VOCABULARY, type AgentProcess } from '../support/agent-process.ts';
import { readLedgerEvents } from '../support/shop-process.ts';

const run = promisify(execFile);
const PROGRAM = join(import.meta.dirname, '../../examples/opentelemetry/main.mjs');
const EVENTS = 30;

let agent: AgentProcess;

beforeAll(async () => {
  agent = await startAgentProcess({ exporters: {} });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(async () => {
  context.disable();
  await agent[Symbol.asyncDispose]();
});

const { AlwaysOffSampler, ParentBasedSampler, TraceIdRatioBasedSampler } = tracing;

/** Where a request comes from whose caller has decided against the trace. */
const UNSAMPLED_PARENT: Context = trace.setSpanContext(ROOT_CONTEXT, {
  traceId: '5'.repeat(32),
  spanId: '6'.repeat(16),
  traceFlags: TraceFlags.NONE,
  isRemote: true,
});

const SAMPLERS: readonly [name: string, sampler: tracing.Sampler, parent: Context][] = [
  ['AlwaysOff', new AlwaysOffSampler(), ROOT_CONTEXT],
  ['a ratio of 0', new TraceIdRatioBasedSampler(0), ROOT_CONTEXT],
  [
    'ParentBased, by default off',
    new ParentBasedSampler({ root: new AlwaysOffSampler() }),
    ROOT_CONTEXT,
  ],
  [
    'ParentBased, under a parent that is not sampled',
    new ParentBasedSampler({ root: new tracing.AlwaysOnSampler() }),
    UNSAMPLED_PARENT,
  ],
];

/** Begins a span that the sampler drops, and shows that it does. */
function beginDropped(sampler: tracing.Sampler, parent: Context): Span {
  const exporter = new tracing.InMemorySpanExporter();
  const provider = new tracing.BasicTracerProvider({
    sampler,
    spanProcessors: [new tracing.SimpleSpanProcessor(exporter)],
  });
  const span = provider.getTracer('test').startSpan('GET /', {}, parent);
  expect(span.isRecording()).toBe(false);
  expect(span.spanContext().traceFlags).toBe(TraceFlags.NONE);
  span.end();
  expect(exporter.getFinishedSpans()).toEqual([]);
  return span;
}

/** Records of this trace in the ledger, by what they were about. */
function idsOfTrace(span: Span, service: string): string[] {
  return readLedgerEvents(agent.dir)
    .filter(({ source }) => source.service === service)
    .filter(({ correlation }) => correlation.trace_id === span.spanContext().traceId)
    .map(({ resource }) => resource.id)
    .sort();
}

const NAMES = Array.from({ length: EVENTS }, (_, n) => `c-${String(n).padStart(2, '0')}`);

test.each(SAMPLERS)(
  'a stock OpenTelemetry SDK under %s: every record arrives',
  async (_, sampler, parent) => {
    const span = beginDropped(sampler, parent);
    const failures: unknown[] = [];
    const provider = new logs.LoggerProvider({
      resource: resources.resourceFromAttributes({ 'service.name': 'billing' }),
      processors: [
        new logs.BatchLogRecordProcessor({
          exporter: new OTLPLogExporter({ url: `${agent.otlpUrl}/v1/logs` }),
        }),
      ],
    });
    for (const [index, id] of NAMES.entries()) {
      provider.getLogger('billing').emit({
        eventName: 'customer.read',
        // What somebody rates as no more than a trace message is an audit record all the same.
        ...(index % 2 === 0 ? { severityNumber: SeverityNumber.TRACE } : {}),
        timestamp: new Date(),
        context: trace.setSpan(parent, span),
        attributes: {
          'audit.record.id': `${span.spanContext().spanId}-${id}`,
          'audit.actor.id': 'u-1',
          'audit.actor.type': 'user',
          'audit.action': 'read',
          'audit.outcome': 'success',
          'audit.target.id': id,
          'audit.target.type': 'customer',
        },
      });
    }
    await provider.shutdown().catch((error: unknown) => failures.push(error));
    expect(failures).toEqual([]);
    expect(idsOfTrace(span, 'billing')).toEqual(NAMES);
  },
);

test.each([
  ['always_off', undefined],
  ['traceidratio', '0'],
  ['parentbased_always_off', undefined],
  ['parentbased_traceidratio', '0'],
])('the example program with OTEL_TRACES_SAMPLER=%s sends all it has', async (sampler, ratio) => {
  const before = readLedgerEvents(agent.dir).length;
  const { stdout } = await run(process.execPath, [PROGRAM], {
    env: {
      ...process.env,
      OTEL_EXPORTER_OTLP_ENDPOINT: agent.otlpUrl,
      OTEL_TRACES_SAMPLER: sampler,
      ...(ratio === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: ratio }),
    },
  });
  expect(stdout).toContain('4 audit records');
  expect(readLedgerEvents(agent.dir).length - before).toBe(4);
});

test.each(SAMPLERS)(
  'our SDK under %s: every record arrives, by record() and by the logs bridge',
  async (_, sampler, parent) => {
    const span = beginDropped(sampler, parent);
    const audit = createAudit({
      service: 'shop',
      vocabulary: VOCABULARY,
      socketPath: agent.socketPath,
      redactionKey: await agent.redactionKey(),
      tenant: 'acme',
    });
    const failures: unknown[] = [];
    const logger = createAuditLoggerProvider(audit, {
      onFailure: (error) => failures.push(error),
    }).getLogger('shop');
    await context.with(trace.setSpan(parent, span), async () => {
      await Promise.all(
        NAMES.slice(0, 20).map((id) =>
          audit.record({
            action: 'customer.read',
            outcome: 'success',
            actor: { type: 'user', id: 'u-1', name: 'Ada' },
            resource: { type: 'customer', id },
          }),
        ),
      );
      for (const id of NAMES.slice(20)) {
        logger.emit({
          eventName: 'customer.read',
          attributes: {
            'audit.actor.id': 'u-1',
            'audit.actor.type': 'user',
            'audit.outcome': 'success',
            'audit.target.id': id,
            'audit.target.type': 'customer',
          },
        });
      }
    });
    await audit.close();
    expect(failures).toEqual([]);
    expect(idsOfTrace(span, 'shop')).toEqual(NAMES);
  },
);
