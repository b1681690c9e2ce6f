/**
 * The agent's own traces: a span for a group commit, a span for a delivered batch. Stages know
 * nothing of it: they count into the meter and report deliveries as ever. Spans carry counts and
 * times, never contents. Whatever becomes of them, the agent is not affected.
 */
import type { Attributes, Tracer } from '@opentelemetry/api';
import { messageOf } from '../../schemas/result.ts';
import { createLogLimit } from '../log-limit.ts';
import type { Clock, DeliveryReport, Logger, Meter } from '../ports.ts';
import { createTraceBudget } from './trace-budget.ts';
import { openTraceExport } from './trace-export.ts';

export interface Traces {
  /** The same meter, its commits traced. */
  meter(meter: Meter): Meter;
  onDelivery(report: DeliveryReport): void;
  /** Sends what waits, for about a second at most. Never rejects. */
  stop(): Promise<void>;
}

export interface TraceOptions {
  /** OTLP/HTTP base URL (`/v1/traces` is added); undefined: no traces, and no SDK is loaded. */
  readonly endpoint: string | undefined;
  readonly version: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** Of commits, and of each sink's batches; a loaded agent commits thousands of times a second. */
export const SPANS_PER_SECOND = 10;
/** A commit this slow always gets its span; as commits follow one another, there are 20 a second at most. */
export const SLOW_COMMIT_SECONDS = 0.05;
/** SpanStatusCode.ERROR; its module is loaded only when traces are on. */
const STATUS_ERROR = 2;

const OFF: Traces = {
  meter: (meter) => meter,
  onDelivery: () => undefined,
  stop: () => Promise.resolve(),
};

/** Starts tracing where it is configured. Never rejects: what goes wrong is logged, and traces are off. */
export async function startTraces(options: TraceOptions): Promise<Traces> {
  const { endpoint, version, log, clock = { nowMs: Date.now } } = options;
  if (endpoint === undefined) return OFF;
  const onFailure = createFailureLog(log, clock);
  try {
    const { tracer, stop } = await openTraceExport({ endpoint, version, onFailure });
    return { ...createSpans(tracer, clock, onFailure), stop: () => stop().catch(onFailure) };
  } catch (error) {
    log.error({ component: 'traces', error: messageOf(error) }, 'traces cannot be started');
    return OFF;
  }
}

function createSpans(
  tracer: Tracer,
  clock: Clock,
  onFailure: (error: unknown) => void,
): Omit<Traces, 'stop'> {
  const budget = createTraceBudget(SPANS_PER_SECOND, clock);

  function addSpan(
    name: string,
    startTime: number,
    endTime: number,
    attributes: Attributes,
    isError = false,
  ): void {
    try {
      const span = tracer.startSpan(name, { startTime, attributes });
      if (isError) span.setStatus({ code: STATUS_ERROR });
      span.end(endTime);
    } catch (error) {
      onFailure(error);
    }
  }

  return {
    meter: (meter) => ({
      ...meter,
      commit: (records, bytes, fsyncSeconds) => {
        meter.commit(records, bytes, fsyncSeconds);
        const skipped = budget.take('append.commit', fsyncSeconds >= SLOW_COMMIT_SECONDS);
        if (skipped === null) return;
        const endMs = clock.nowMs();
        addSpan('append.commit', endMs - fsyncSeconds * 1000, endMs, {
          'audit.records': records,
          'audit.bytes': bytes,
          'audit.fsync_seconds': fsyncSeconds,
          'audit.spans_skipped': skipped,
        });
      },
    }),
    onDelivery: ({ sink, records, startedMs, durationMs, outcome }) => {
      const skipped = budget.take(`deliver ${sink}`);
      if (skipped === null) return;
      const attributes = {
        'audit.sink': sink,
        'audit.records': records,
        'audit.outcome': outcome,
        'audit.spans_skipped': skipped,
      };
      addSpan('deliver.batch', startedMs, startedMs + durationMs, attributes, outcome === 'failed');
    },
  };
}

function createFailureLog(log: Logger, clock: Clock): (error: unknown) => void {
  const limit = createLogLimit(clock.nowMs);
  return (error) => {
    const attempts = limit('failure');
    if (attempts === null) return;
    const fields = { component: 'traces', attempts, error: messageOf(error) };
    log.warn(fields, 'traces cannot be exported; nothing else is affected');
  };
}
