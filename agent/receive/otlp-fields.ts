/**
 * The fields of an event as an OTLP record names them: who, what, which, when, outcome, from where.
 * Pure; each reader takes its attributes out of the taker, and a refusal names the attribute.
 */
import { isIP } from 'node:net';
import type { Actor, ActorType, Correlation, Outcome, Principal } from '../../schemas/event.ts';
import { AUDIT, OURS, RESOURCE } from '../../schemas/otel-audit.ts';
import type { OtlpRecord } from '../../schemas/otlp.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import type { AttributeTaker } from './otlp-values.ts';

const YEAR_10000_MS = 253_402_300_800_000n;
const ACTOR_TYPES: ReadonlySet<string> = new Set<ActorType>([
  'user',
  'admin',
  'service',
  'system',
  'api_key',
  'anonymous',
]);

/** What `/v1/audit` demands to the letter, `/v1/logs` takes where the meaning is clear. */
export function describeAbsent(record: OtlpRecord, signal: 'logs' | 'audit'): Refusal | null {
  const strict = signal === 'audit';
  const { attributes } = record;
  const absent: string[] = [AUDIT.recordId, AUDIT.actorId, AUDIT.actorType].filter(
    (name) => !attributes.has(name),
  );
  if (!attributes.has(AUDIT.action) && (strict || record.eventName === '')) {
    absent.push(AUDIT.action);
  }
  if (!attributes.has(AUDIT.outcome) && (strict || !attributes.has(OURS.outcome))) {
    absent.push(AUDIT.outcome);
  }
  if (strict && record.eventName === '') absent.push('EventName');
  if (absent.length === 0) return null;
  const message = `not an audit record: ${absent.join(', ')} missing; set them, or filter other logs out in the pipeline`;
  return refusal('schema_invalid', message, absent[0]);
}

/** Milliseconds since the epoch; null when unset or beyond the year 9999. */
export function timeOf(record: OtlpRecord, signal: 'logs' | 'audit'): number | null {
  const isSet = record.timeUnixNano > 0n || signal === 'audit';
  const timeMs = (isSet ? record.timeUnixNano : record.observedTimeUnixNano) / 1_000_000n;
  return timeMs > 0n && timeMs < YEAR_10000_MS ? Number(timeMs) : null;
}

/** Which record it is, and whose. */
export interface Names {
  readonly recordId: string;
  readonly tenant: string;
}

/** Reads record id and tenant; a record that names no tenant is of `defaultTenant`. */
export function readNames(
  taker: AttributeTaker,
  defaultTenant: string | undefined,
): Result<Names, Refusal> {
  const recordId = taker.text(AUDIT.recordId);
  const tenantAudit = taker.text(OURS.tenantAudit);
  const tenantOurs = taker.text(OURS.tenant);
  const chosen = tenantAudit ?? tenantOurs ?? defaultTenant;
  if (recordId === undefined) {
    return err(refusal('schema_invalid', `${AUDIT.recordId} is empty`, AUDIT.recordId));
  }
  if (tenantAudit !== undefined && tenantOurs !== undefined && tenantAudit !== tenantOurs) {
    const message = `${OURS.tenantAudit} and ${OURS.tenant} name two tenants; send one of them`;
    return err(refusal('schema_invalid', message, OURS.tenant));
  }
  if (chosen === undefined) {
    const message = `no tenant: set ${OURS.tenant}, the resource attribute ${RESOURCE.tenant}, or default_tenant in the receiver's configuration`;
    return err(refusal('unknown_tenant', message, OURS.tenant));
  }
  return ok({ recordId, tenant: chosen });
}

/** Reads the outcome; `unknown` has no place among ours and is told apart by `foreign`. */
export function mapOutcome(
  taker: AttributeTaker,
): Result<{ readonly outcome: Outcome; readonly foreign?: string }, Refusal> {
  const ours = taker.text(OURS.outcome);
  const theirs = taker.text(AUDIT.outcome);
  // `denied` refines a failure; beside a success it would be a contradiction.
  const word = ours === 'denied' && theirs !== 'success' ? ours : (theirs ?? ours);
  if (ours !== undefined && word !== ours) {
    const message = `${OURS.outcome} contradicts ${AUDIT.outcome}; \`denied\` goes with failure`;
    return err(refusal('schema_invalid', message, OURS.outcome));
  }
  if (word === 'success' || word === 'failure' || word === 'denied') return ok({ outcome: word });
  if (word === 'unknown') return ok({ outcome: 'failure', foreign: 'unknown' });
  const message = `${AUDIT.outcome} must be success, failure, denied or unknown`;
  return err(refusal('schema_invalid', message, AUDIT.outcome));
}

/** An action of the vocabulary. */
export interface ActionName {
  readonly name: string;
  readonly category: string;
  /** The client's verb, where it is not the action's name. */
  readonly verb?: string;
}

/** Finds the declared action. The draft's action is a verb (`EXPORT`); ours is declared (`customer.export`). */
export function mapAction(
  taker: AttributeTaker,
  eventName: string,
  vocabulary: Vocabulary,
): Result<ActionName, Refusal> {
  const verb = taker.text(AUDIT.action);
  const target = taker.has(AUDIT.targetType) ? taker.rest().get(AUDIT.targetType) : undefined;
  const type = target !== undefined && 'stringValue' in target ? target.stringValue : '';
  const candidates = [
    verb ?? '',
    eventName,
    eventName.replace(/\.(success|failure|denied)$/, ''),
    `${type}.${verb ?? ''}`.toLowerCase(),
  ];
  for (const name of candidates) {
    const definition = vocabulary.actions.get(name);
    if (definition === undefined) continue;
    const other = verb === undefined || verb === name ? {} : { verb };
    return ok({ name, category: definition.category, ...other });
  }
  const message = `neither ${AUDIT.action} nor EventName nor "<${AUDIT.targetType}>.<${AUDIT.action}>" is in the vocabulary; declare it there`;
  return err(refusal('unknown_action', message, AUDIT.action));
}

/** Reads the resource acted upon. */
export function readTarget(taker: AttributeTaker): {
  readonly type: string;
  readonly id: string;
  readonly name?: string;
} {
  // The draft allows an action upon nothing; the event does not.
  const id = taker.text(AUDIT.targetId) ?? 'unspecified';
  const type = taker.text(AUDIT.targetType) ?? 'unspecified';
  const name = taker.text(OURS.targetName);
  return { type, id, ...(name === undefined ? {} : { name }) };
}

/** Reads the actor, and on whose behalf it acted. */
export function mapActor(taker: AttributeTaker): Result<Actor, Refusal> {
  const id = taker.text(AUDIT.actorId);
  const type = taker.text(AUDIT.actorType);
  if (id === undefined) {
    return err(refusal('schema_invalid', `${AUDIT.actorId} is empty`, AUDIT.actorId));
  }
  if (!isActorType(type)) return err(wrongActorType(AUDIT.actorType));
  const principal = mapOnBehalfOf(taker);
  if (!principal.ok) return principal;
  const session = taker.text(OURS.sessionId);
  return ok({
    type,
    id,
    name: taker.text(OURS.actorName) ?? id,
    on_behalf_of: principal.value,
    ...(session === undefined ? {} : { session_id: session }),
  });
}

function mapOnBehalfOf(taker: AttributeTaker): Result<Principal | null, Refusal> {
  const id = taker.text(OURS.onBehalfOfId);
  const type = taker.text(OURS.onBehalfOfType) ?? 'user';
  const name = taker.text(OURS.onBehalfOfName) ?? id;
  if (id === undefined || name === undefined) return ok(null);
  return isActorType(type) ? ok({ type, id, name }) : err(wrongActorType(OURS.onBehalfOfType));
}

function isActorType(value: string | undefined): value is ActorType {
  return value !== undefined && ACTOR_TYPES.has(value);
}

function wrongActorType(attribute: string): Refusal {
  const message = `${attribute} must be one of ${[...ACTOR_TYPES].join(', ')}`;
  return refusal('schema_invalid', message, attribute);
}

/** Reads where the request came from; a host name has no field and stays in the metadata. */
export function readSource(taker: AttributeTaker): {
  readonly ip: string | null;
  readonly user_agent: string | null;
} {
  const agent = taker.text(OURS.userAgent) ?? null;
  const value = taker.rest().get(AUDIT.sourceId);
  const id = value !== undefined && 'stringValue' in value ? value.stringValue : '';
  // Addresses with a zone (fe80::1%eth0) mean something on their own host only.
  if (isIP(id) === 0 || id.includes('%')) return { ip: null, user_agent: agent };
  taker.text(AUDIT.sourceId);
  taker.text(AUDIT.sourceType);
  return { ip: id, user_agent: agent };
}

/** Reads what ties the event to a request and a trace. */
export function readCorrelation(taker: AttributeTaker, record: OtlpRecord): Correlation {
  const workflow = taker.text(OURS.workflowId);
  const request = taker.text(OURS.requestId) ?? taker.text(OURS.requestIdOtel);
  return {
    request_id: request ?? null,
    trace_id: record.traceId,
    ...(record.spanId === null ? {} : { span_id: record.spanId }),
    ...(workflow === undefined ? {} : { workflow_id: workflow }),
  };
}
