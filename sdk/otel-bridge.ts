/**
 * A LoggerProvider of the OpenTelemetry logs API whose records become audit events. Attribute
 * names are those of the OpenTelemetry Audit Logging draft; they live in this file alone, so
 * that a change of the draft is a change here. emit() has no way to answer: a record that
 * fails goes to onAuditFailure, and where there is no hook, to a process warning.
 */
import { trace, type HrTime, type TimeInput } from '@opentelemetry/api';
import type { AnyValue, LogAttributes, Logger, LoggerProvider } from '@opentelemetry/api-logs';
import type { LogRecord } from '@opentelemetry/api-logs';
import { EVENT_DEPTH_MAX } from '../schemas/json-check.ts';
import type { ActorType, Json, Outcome } from '../schemas/event.ts';
import type { Audit } from './audit.ts';
import type { EventDraft } from './draft.ts';

/** The draft's attribute names. */
export const AUDIT_ATTRIBUTE = {
  actorId: 'audit.actor.id',
  actorType: 'audit.actor.type',
  action: 'audit.action',
  outcome: 'audit.outcome',
  targetId: 'audit.target.id',
  targetType: 'audit.target.type',
  sourceId: 'audit.source.id',
  recordId: 'audit.record.id',
} as const;

export interface AuditLoggerOptions {
  /** Hears of each record that was not recorded, when the Audit itself has no hook. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * Creates a provider over an Audit. The event name (or `audit.action`) must be an action of the
 * vocabulary; other attributes become metadata. Register it with `logs.setGlobalLoggerProvider`,
 * or take loggers from it directly.
 */
export function createAuditLoggerProvider(
  audit: Audit,
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

/** Maps a LogRecord to a draft; what is missing or wrong in it is for record() to refuse. */
function draftOfLogRecord(record: LogRecord): EventDraft {
  const attributes = record.attributes ?? {};
  const actorId = textOf(attributes, AUDIT_ATTRIBUTE.actorId);
  const span = record.context === undefined ? undefined : trace.getSpanContext(record.context);
  const address = textOf(attributes, AUDIT_ATTRIBUTE.sourceId);
  const outcome = textOf(attributes, AUDIT_ATTRIBUTE.outcome);
  return {
    action: record.eventName ?? textOf(attributes, AUDIT_ATTRIBUTE.action),
    // The draft's "unknown" has no home in our outcomes: recorded as a failure, and named.
    outcome: (outcome === 'unknown' ? 'failure' : outcome) as Outcome,
    actor: {
      type: textOf(attributes, AUDIT_ATTRIBUTE.actorType) as ActorType,
      id: actorId,
      name: textOf(attributes, 'audit.actor.name') || actorId,
    },
    resource: {
      type: textOf(attributes, AUDIT_ATTRIBUTE.targetType),
      id: textOf(attributes, AUDIT_ATTRIBUTE.targetId),
    },
    metadata: metadataOf(record),
    ...(address === '' ? {} : { source: { ip: address } }),
    ...(span === undefined
      ? {}
      : { correlation: { trace_id: span.traceId, span_id: span.spanId } }),
    ...(record.timestamp === undefined ? {} : { time: dateOf(record.timestamp) }),
  };
}

function textOf(attributes: LogAttributes, name: string): string {
  const value = attributes[name];
  return typeof value === 'string' ? value : '';
}

const MAPPED: ReadonlySet<string> = new Set([
  ...Object.values(AUDIT_ATTRIBUTE).filter((name) => name !== AUDIT_ATTRIBUTE.recordId),
  'audit.actor.name',
]);

function metadataOf(record: LogRecord): { readonly [name: string]: Json } {
  const metadata: { [name: string]: Json } = {};
  const attributes = record.attributes ?? {};
  for (const [name, value] of Object.entries(attributes)) {
    if (!MAPPED.has(name) && value !== undefined) metadata[name] = jsonOf(value, 0);
  }
  const outcome = attributes[AUDIT_ATTRIBUTE.outcome];
  if (outcome === 'unknown') metadata[AUDIT_ATTRIBUTE.outcome] = outcome;
  const action = attributes[AUDIT_ATTRIBUTE.action];
  if (typeof action === 'string' && record.eventName !== undefined && action !== record.eventName) {
    metadata[AUDIT_ATTRIBUTE.action] = action;
  }
  if (record.body !== undefined) metadata['body'] = jsonOf(record.body, 0);
  return metadata;
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
    Object.defineProperty(object, name, {
      value: jsonOf(member as AnyValue, depth + 1),
      enumerable: true,
    });
  }
  return object;
}

/** TimeInput: a Date, [seconds, nanoseconds], or a number of milliseconds since the epoch. */
function dateOf(time: TimeInput): Date {
  if (time instanceof Date) return time;
  if (typeof time === 'number') return new Date(time);
  const [seconds, nanoseconds] = time as HrTime;
  return new Date(seconds * 1000 + Math.floor(nanoseconds / 1e6));
}
