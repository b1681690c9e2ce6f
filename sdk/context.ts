/**
 * What is known about the work in progress (request id, trace, client, actor), carried along
 * asynchronous calls so that nobody passes it by hand. The middlewares fill it, record() and
 * the application's logger read it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { context as otelContext, isSpanContextValid, trace } from '@opentelemetry/api';
import type { SpanContext } from '@opentelemetry/api';
import type { ActorDraft } from './event-draft.ts';

/** The context of one request or job. */
export interface AuditContext {
  readonly request_id?: string;
  /** 32 lower-case hex digits. */
  readonly trace_id?: string;
  /** 16 lower-case hex digits: our span, or the caller's where we have none. */
  readonly span_id?: string;
  /** Two hex digits of the caller's traceparent; bit 0 says "sampled". */
  readonly trace_flags?: string;
  readonly workflow_id?: string;
  readonly source?: { readonly ip?: string | null; readonly user_agent?: string | null };
  /** Stands in for a draft without actor. */
  readonly actor?: ActorDraft;
  /** Stands in for a draft without resource.tenant_id. */
  readonly tenant_id?: string;
}

/** The fields by which app log, audit event and trace are joined. */
export interface CorrelationIds {
  readonly request_id?: string;
  readonly trace_id?: string;
  readonly span_id?: string;
}

const EMPTY: AuditContext = Object.freeze({});
const storage = new AsyncLocalStorage<AuditContext>();

/** The context of the running asynchronous call; empty outside of any. */
export function currentContext(): AuditContext {
  return storage.getStore() ?? EMPTY;
}

/** Runs `work` in the current context with `fields` laid over it. */
export function runWithContext<T>(fields: AuditContext, work: () => T): T {
  return storage.run(Object.freeze({ ...currentContext(), ...fields }), work);
}

/** Runs `work` in a context that was current before. */
export function runInContext<T>(context: AuditContext, work: () => T): T {
  return storage.run(context, work);
}

/** Lays `fields` over the context for the rest of this asynchronous call. */
export function enterContext(fields: AuditContext): void {
  storage.enterWith(Object.freeze({ ...currentContext(), ...fields }));
}

/**
 * Request, trace and span of the running call, for the application's logger. The context's
 * trace wins over the active span's: one request keeps one trace in all three records.
 */
export function currentCorrelation(): CorrelationIds {
  const context = currentContext();
  const span = activeSpan();
  const traceId = context.trace_id ?? span?.traceId;
  const spanId = span !== null && span.traceId === traceId ? span.spanId : context.span_id;
  return {
    ...(context.request_id === undefined ? {} : { request_id: context.request_id }),
    ...(traceId === undefined ? {} : { trace_id: traceId }),
    ...(spanId === undefined ? {} : { span_id: spanId }),
  };
}

/** The active OpenTelemetry span; null where there is none. */
export function activeSpan(): SpanContext | null {
  const span = trace.getSpanContext(otelContext.active());
  return span !== undefined && isSpanContextValid(span) ? span : null;
}
