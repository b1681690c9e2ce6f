/**
 * Open Cybersecurity Schema Framework 1.8: a sealed record as an OCSF event. Class and activity
 * come from the vocabulary, never from the action's name; ocsf-parts.ts has what single classes
 * want. What OCSF has no attribute for lies below `unmapped` (mapping-table.ts lists both). Pure.
 */
import type { AuditEvent, Outcome } from './event.ts';
import { present, severityOf, summarize, type JsonObject, type MappingAgent } from './mapping.ts';
import { OCSF_CLASSES, OCSF_VERSION } from './ocsf-classes.ts';
import { hasRequest, hasTrace, objectOf, requestOf, thingOf, userOf } from './ocsf-parts.ts';
import type { SealedEvent, SealedRecord } from './record.ts';
import type { ActionDefinition } from './vocabulary.ts';

export interface OcsfDocument extends JsonObject {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly type_uid: number;
}

/** What no vocabulary declares (any more): API Activity, Other. */
const UNDECLARED = { class_uid: 6003, activity_id: 99 };

/**
 * Maps a record to OCSF. Deterministic: the same record, definition and agent give the same bytes.
 * The document validates against the schema of its class, whatever class of OCSF_CLASSES that is.
 */
export function mapToOcsf(
  record: SealedRecord,
  definition: ActionDefinition | null,
  by: MappingAgent,
): OcsfDocument {
  const { event } = record;
  const { class_uid, activity_id } = definition?.ocsf ?? UNDECLARED;
  return {
    class_uid,
    activity_id,
    type_uid: class_uid * 100 + activity_id,
    category_uid: Math.floor(class_uid / 1000),
    ...captionsOf(class_uid, activity_id, event.event.action),
    ...STATUS[event.event.outcome],
    status_code: event.event.outcome,
    severity_id: severityOf(definition, event.event.outcome),
    time: epochMs(event.event.time),
    message: summarize(event),
    metadata: metadataOf(event, class_uid, by),
    actor: actorOf(event),
    ...requestOf(class_uid, event),
    ...objectOf(class_uid, activity_id, event),
    // Of the sealed record as it lies in the ledger, not of this document.
    raw_data_hash: { algorithm: 'SHA-256', algorithm_id: 3, value: record.this_hash },
    unmapped: unmappedOf(record, class_uid, definition),
  };
}

/** OCSF has no third status: a denial is a failure that a security control brought about. */
const STATUS: Readonly<Record<Outcome, JsonObject>> = {
  success: { status_id: 1, status: 'Success', action_id: 1, disposition_id: 1 },
  failure: { status_id: 2, status: 'Failure', status_detail: 'Attempted; it did not succeed.' },
  denied: {
    status_id: 2,
    status: 'Failure',
    status_detail: 'Denied; the actor was not authorized.',
    action_id: 2,
    disposition_id: 2,
  },
};

/** The names beside the ids. For Other, OCSF wants the name that the source itself uses. */
function captionsOf(class_uid: number, activity_id: number, action: string): JsonObject {
  const known = OCSF_CLASSES.get(class_uid);
  const activity = known?.activities.get(activity_id);
  return present({
    class_name: known?.caption,
    activity_name: activity_id === 99 ? action : activity,
    type_name: known && `${known.caption}: ${activity}`,
  });
}

/** OCSF counts from 1970 on; `metadata.original_time` keeps what was said. */
function epochMs(time: string): number {
  return Math.max(0, Date.parse(time));
}

function metadataOf(event: SealedEvent, class_uid: number, by: MappingAgent): JsonObject {
  const { chain, correlation, origin, source } = event;
  return present({
    version: OCSF_VERSION,
    uid: event.event_id,
    event_code: event.event.action,
    original_event_uid: origin?.record_id,
    original_time: event.event.time,
    logged_time: epochMs(chain.received_at),
    product: present({ name: source.service, version: source.service_version }),
    loggers: [{ name: by.name, version: by.version, product: { name: 'Sealtrail' } }],
    profiles: profilesOf(event, class_uid),
    tenant_uid: event.resource.tenant_id,
    correlation_uid: correlation.request_id,
    log_name: chain.stream,
    log_version: event.schema_version,
    sequence: chain.seq,
  });
}

/** Classes with an actor of their own; to the others the profile `host` brings one. */
const HAS_ACTOR: ReadonlySet<number> = new Set([3002, 6003, 6005, 6006]);

/** Names the profiles whose attributes the document uses, as OCSF asks of a producer. */
function profilesOf({ correlation, event }: AuditEvent, class_uid: number): readonly string[] {
  const profiles: string[] = [];
  if (event.outcome !== 'failure') profiles.push('security_control');
  if (!HAS_ACTOR.has(class_uid)) profiles.push('host');
  if (hasTrace(class_uid) && correlation.trace_id !== null) profiles.push('trace');
  return profiles;
}

function actorOf({ actor }: AuditEvent): JsonObject {
  const session = actor.session_id === undefined ? null : { uid: actor.session_id };
  return present({ user: userOf(actor), session });
}

/** What OCSF, or the class, has no attribute for. The resource is here in every class alike. */
function unmappedOf(
  { event, prev_hash }: SealedRecord,
  class_uid: number,
  definition: ActionDefinition | null,
): JsonObject {
  const { actor, correlation, origin, source } = event;
  return present({
    category: event.event.category,
    sensitivity: definition?.sensitivity,
    on_behalf_of: actor.on_behalf_of && userOf(actor.on_behalf_of),
    actor_roles: actor.roles,
    resource: thingOf(event.resource),
    source_ip: hasRequest(class_uid) ? null : source.ip,
    user_agent: hasRequest(class_uid) ? null : source.user_agent,
    trace_id: hasTrace(class_uid) ? null : correlation.trace_id,
    span_id: correlation.span_id,
    workflow_id: correlation.workflow_id,
    changes: event.changes,
    metadata: event.metadata,
    origin: origin && { ...origin },
    prev_hash,
  });
}
