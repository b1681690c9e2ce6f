/**
 * A LoggerProvider of the OpenTelemetry logs API whose records become audit events: the same
 * attributes, read the same way, as the agent's OTLP receiver reads (schemas/otel-audit.ts).
 * emit() has no way to answer: a record that fails goes to onFailure, and where that is not
 * given, to a process warning.
 */
import { trace, type HrTime, type TimeInput } from '@opentelemetry/api';
import type { AnyValue, LogAttributes, Logger, LoggerProvider } from '@opentelemetry/api-logs';
import type { LogRecord } from '@opentelemetry/api-logs';
import { EVENT_DEPTH_MAX } from '../schemas/json-check.ts';
import type { ActorType, Correlation, Json, Outcome, Principal } from '../schemas/event.ts';
import { AUDIT, OURS } from '../schemas/otel-audit.ts';
import type { Audit } from './audit.ts';
import { currentContext } from './context.ts';
import type { EventDraft, PlainActor } from './event-draft.ts';
import { isEventId } from './event-id.ts';

export interface AuditLoggerOptions {
  /** Hears of each record that was not recorded. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * Creates a provider over an Audit. The event name (or `audit.action`) must be an action of the
 * vocabulary; other attributes become metadata. Register it with `logs.setGlobalLoggerProvider`,
 * or take loggers from it directly.
 */
export function createAuditLoggerProvider(
  audit: Pick<Audit<unknown>, 'record'>,
  options: AuditLoggerOptions = {},
): LoggerProvider {
  const onFailure = options.onFailure ?? warn;
  const logger: Logger = {
    // The draft has no "enabled" check: an audit record is never filtered.
    enabled: () => true,
    emit(record) {
      audit.record(draftOfLogRecord(record)).catch(onFailure);
    },
  };
  return { getLogger: () => logger };
}

function warn(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  process.emitWarning(`an audit record was not recorded: ${code}`, {
    type: 'AuditWarning',
    code: 'SEALTRAIL_RECORD_FAILED',
  });
}

/** Hands out text attributes by name; what nobody took is metadata. */
interface Taker {
  /** Undefined where it is absent, empty or no text. */
  text(name: string): string | undefined;
  rest(): { [name: string]: Json };
}

function createTaker(attributes: LogAttributes): Taker {
  const left = new Map(Object.entries(attributes));
  return {
    text(name) {
      const value = left.get(name);
      if (typeof value !== 'string' || value === '') return undefined;
      left.delete(name);
      return value;
    },
    rest() {
      const metadata: { [name: string]: Json } = {};
      for (const [name, value] of left) {
        if (value !== undefined) setMember(metadata, name, jsonOf(value, 0));
      }
      return metadata;
    },
  };
}

/** Maps a LogRecord to a draft; what is missing or wrong in it is for record() to refuse. */
function draftOfLogRecord(record: LogRecord): EventDraft {
  const taker = createTaker(record.attributes ?? {});
  const verb = taker.text(AUDIT.action);
  const action = record.eventName ?? verb ?? '';
  const said = taker.text(AUDIT.outcome);
  const recordId = taker.text(AUDIT.recordId);
  const eventId = recordId !== undefined && isEventId(recordId) ? recordId : undefined;
  const known = {
    actor: actorOf(taker),
    resource: resourceOf(taker),
    source: sourceOf(taker),
    correlation: correlationOf(taker, record),
  };
  // `denied` refines the draft's failure; its "unknown" has no home in our outcomes.
  const outcome = taker.text(OURS.outcome) ?? (said === 'unknown' ? 'failure' : said);
  const metadata = taker.rest();
  if (verb !== undefined && verb !== action) metadata[AUDIT.action] = verb;
  if (said === 'unknown') metadata[AUDIT.outcome] = said;
  if (eventId === undefined && recordId !== undefined) metadata[AUDIT.recordId] = recordId;
  // An attribute may have taken the name.
  const bodyName = metadata['body'] === undefined ? 'body' : 'record.body';
  if (record.body !== undefined) metadata[bodyName] = jsonOf(record.body, 0);
  return {
    action,
    outcome: outcome as Outcome,
    ...known,
    metadata,
    ...(eventId === undefined ? {} : { event_id: eventId }),
    ...(record.timestamp === undefined ? {} : { time: dateOf(record.timestamp) }),
  };
}

function actorOf(taker: Taker): PlainActor {
  const onBehalfOf = principalOf(
    taker,
    OURS.onBehalfOfType,
    OURS.onBehalfOfId,
    OURS.onBehalfOfName,
  );
  const session = taker.text(OURS.sessionId);
  return {
    ...principalOf(taker, AUDIT.actorType, AUDIT.actorId, OURS.actorName),
    on_behalf_of: onBehalfOf.id === '' ? null : onBehalfOf,
    ...(session === undefined ? {} : { session_id: session }),
  };
}

/** A name left out is the id. */
function principalOf(taker: Taker, typeName: string, idName: string, nameName: string): Principal {
  const id = taker.text(idName) ?? '';
  const type = (taker.text(typeName) ?? '') as ActorType;
  return { type, id, name: taker.text(nameName) ?? id };
}

function resourceOf(taker: Taker): EventDraft['resource'] {
  const name = taker.text(OURS.targetName);
  const tenant = taker.text(OURS.tenantAudit) ?? taker.text(OURS.tenant);
  return {
    type: taker.text(AUDIT.targetType) ?? '',
    id: taker.text(AUDIT.targetId) ?? '',
    ...(name === undefined ? {} : { name }),
    ...(tenant === undefined ? {} : { tenant_id: tenant }),
  };
}

/** A field left out is the context's. */
function sourceOf(taker: Taker): NonNullable<EventDraft['source']> {
  const context = currentContext().source;
  return {
    ip: taker.text(AUDIT.sourceId) ?? context?.ip ?? null,
    user_agent: taker.text(OURS.userAgent) ?? context?.user_agent ?? null,
  };
}

function correlationOf(taker: Taker, record: LogRecord): Partial<Correlation> {
  const span = record.context === undefined ? undefined : trace.getSpanContext(record.context);
  const request = taker.text(OURS.requestId) ?? taker.text(OURS.requestIdOtel);
  const workflow = taker.text(OURS.workflowId);
  return {
    ...(request === undefined ? {} : { request_id: request }),
    ...(workflow === undefined ? {} : { workflow_id: workflow }),
    ...(span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId }),
  };
}

/** AnyValue to JSON: bytes as base64, the rest as it is. Depth is bounded by checkEvent later. */
function jsonOf(value: AnyValue, depth: number): Json {
  if (value === null || value === undefined) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value !== 'object') return value;
  // Beyond any depth that checkEvent takes: a cycle ends here, and is refused there.
  if (depth > EVENT_DEPTH_MAX) return null;
  if (Array.isArray(value)) return value.map((item: AnyValue) => jsonOf(item, depth + 1));
  const object: { [name: string]: Json } = {};
  for (const [name, member] of Object.entries(value)) {
    setMember(object, name, jsonOf(member as AnyValue, depth + 1));
  }
  return object;
}

/** Assigning `__proto__` would set a prototype and hide the member from the check that refuses it. */
function setMember(object: { [name: string]: Json }, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true });
}

/** TimeInput: a Date, [seconds, nanoseconds], or a number of milliseconds since the epoch. */
function dateOf(time: TimeInput): Date {
  if (time instanceof Date) return time;
  if (typeof time === 'number') return new Date(time);
  const [seconds, nanoseconds] = time as HrTime;
  return new Date(seconds * 1000 + Math.floor(nanoseconds / 1e6));
}
