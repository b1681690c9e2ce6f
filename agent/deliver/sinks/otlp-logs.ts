/**
 * Records as an OTLP logs request (opentelemetry-proto 1.x), in OTLP/JSON: attributes carry the names of
 * the audit draft (schemas/otel-audit.ts), so that another agent can take them in; the body is the
 * document in the configured form. One resource a service that audits. Pure.
 */
import { AUDIT, OURS, RESOURCE } from '../../../schemas/otel-audit.ts';
import type { MappingAgent } from '../../../schemas/mapping.ts';
import type { DeliveryRecord } from '../../ports.ts';
import type { BatchItem } from './open-batch.ts';

export type LogValue =
  | { readonly stringValue: string }
  | { readonly intValue: string }
  | { readonly arrayValue: { readonly values: readonly LogValue[] } };

export interface LogAttribute {
  readonly key: string;
  readonly value: LogValue;
}

export interface LogRecord {
  /** Nanoseconds since the epoch, decimal. */
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano: string;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly eventName: string;
  readonly body: LogValue;
  readonly attributes: readonly LogAttribute[];
  /** Lower-case hex. */
  readonly traceId?: string;
  readonly spanId?: string;
}

export interface LogsRequest {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly LogAttribute[] };
    readonly scopeLogs: readonly {
      readonly scope: { readonly name: string; readonly version: string };
      readonly logRecords: readonly LogRecord[];
    }[];
  }[];
}

/** INFO and WARN of the log data model. */
const SEVERITY = { success: [9, 'INFO'], failure: [13, 'WARN'], denied: [13, 'WARN'] } as const;

/** The request for a batch. */
export function logsRequest(items: readonly BatchItem[], agent: MappingAgent): LogsRequest {
  const groups = new Map<string, { attributes: LogAttribute[]; logRecords: LogRecord[] }>();
  for (const item of items) {
    const { service, service_version } = item.record.event.source;
    const key = JSON.stringify([service, service_version]);
    const group = groups.get(key) ?? {
      attributes: [
        ...text(RESOURCE.serviceName, service),
        ...text(RESOURCE.serviceVersion, service_version),
      ],
      logRecords: [],
    };
    group.logRecords.push(logRecord(item));
    groups.set(key, group);
  }
  const scope = { name: 'sealtrail', version: agent.version };
  return {
    resourceLogs: [...groups.values()].map(({ attributes, logRecords }) => ({
      resource: { attributes },
      scopeLogs: [{ scope, logRecords }],
    })),
  };
}

function logRecord({ record, document }: BatchItem): LogRecord {
  const { event, chain, correlation } = record.event;
  const [severityNumber, severityText] = SEVERITY[event.outcome];
  return {
    timeUnixNano: nanosOf(event.time),
    observedTimeUnixNano: nanosOf(chain.received_at),
    severityNumber,
    severityText,
    eventName: event.action,
    body: { stringValue: document },
    attributes: attributesOf(record),
    ...(correlation.trace_id === null ? {} : { traceId: correlation.trace_id }),
    ...(correlation.span_id === undefined || correlation.span_id === null
      ? {}
      : { spanId: correlation.span_id }),
  };
}

/** Where a record lies in its chain: names of ours. */
const CHAIN = {
  stream: 'sealtrail.chain.stream',
  seq: 'sealtrail.chain.seq',
  prevHash: 'sealtrail.chain.prev_hash',
  thisHash: 'sealtrail.chain.this_hash',
} as const;

function attributesOf({ event: sealed, prev_hash, this_hash }: DeliveryRecord): LogAttribute[] {
  const { actor, resource, source, correlation, chain, changes } = sealed;
  const outcome = sealed.event.outcome;
  return [
    ...text(AUDIT.recordId, sealed.event_id),
    ...text(AUDIT.actorId, actor.id),
    ...text(AUDIT.actorType, actor.type),
    ...text(OURS.actorName, actor.name),
    ...text(OURS.sessionId, actor.session_id),
    ...text(OURS.onBehalfOfId, actor.on_behalf_of?.id),
    ...text(OURS.onBehalfOfType, actor.on_behalf_of?.type),
    ...text(OURS.onBehalfOfName, actor.on_behalf_of?.name),
    ...text(AUDIT.action, sealed.event.action),
    // The draft knows two outcomes; ours stands beside it.
    ...text(AUDIT.outcome, outcome === 'denied' ? 'failure' : outcome),
    ...text(OURS.outcome, outcome),
    ...text(AUDIT.targetId, resource.id),
    ...text(AUDIT.targetType, resource.type),
    ...text(OURS.targetName, resource.name),
    ...text(OURS.tenant, resource.tenant_id),
    ...text('client.address', source.ip),
    ...text(OURS.userAgent, source.user_agent),
    ...text(OURS.requestId, correlation.request_id),
    ...text(OURS.workflowId, correlation.workflow_id),
    ...(changes === undefined
      ? []
      : [
          {
            key: OURS.changes,
            value: { arrayValue: { values: changes.map((name) => ({ stringValue: name })) } },
          },
        ]),
    ...text(CHAIN.stream, chain.stream),
    { key: CHAIN.seq, value: { intValue: String(chain.seq) } },
    ...text(CHAIN.prevHash, prev_hash),
    ...text(CHAIN.thisHash, this_hash),
  ];
}

function text(key: string, value: string | null | undefined): readonly LogAttribute[] {
  return value === null || value === undefined ? [] : [{ key, value: { stringValue: value } }];
}

/** A time before 1970 has no place in a log record: unset. */
function nanosOf(time: string): string {
  const ms = Date.parse(time);
  return ms <= 0 || Number.isNaN(ms) ? '0' : `${BigInt(ms) * 1_000_000n}`;
}
