/**
 * Names of the OpenTelemetry Audit Logging draft (OTEP 0267, as read in 2026), and what they become
 * here. The draft is not adopted: a name that changes changes in this file, with a new version string.
 * Form signed by a producer (data model, "Integrity Attributes"): see `SIGNED`.
 */

/** The reading of the draft that this build implements. */
export const OTEL_AUDIT_VERSION = 'otep-0267/2026';

/** Attributes of the log record. */
export const AUDIT = {
  recordId: 'audit.record.id',
  actorId: 'audit.actor.id',
  actorType: 'audit.actor.type',
  action: 'audit.action',
  outcome: 'audit.outcome',
  targetId: 'audit.target.id',
  targetType: 'audit.target.type',
  sourceId: 'audit.source.id',
  sourceType: 'audit.source.type',
  sequenceNumber: 'audit.sequence.number',
  previousHash: 'audit.sequence.previous_hash',
  /** Name in an older text of the draft. */
  previousHashOld: 'audit.sequence.prev_hash',
  streamId: 'audit.sequence.stream_id',
  sequenceEnd: 'audit.sequence.end',
  integrityValue: 'audit.integrity.value',
  integritySigner: 'audit.integrity.signer',
  integrityCanonicalization: 'audit.integrity.canonicalization',
} as const;

/** Everything below this prefix is the proof itself and is left out of what is signed. */
export const INTEGRITY_PREFIX = 'audit.integrity.';

/** Attributes of the resource. */
export const RESOURCE = {
  integrityAlgorithm: 'audit.integrity.algorithm',
  integrityCertificate: 'audit.integrity.certificate',
  tenant: 'tenant.id',
  serviceName: 'service.name',
  serviceVersion: 'service.version',
} as const;

/** Attributes the draft lacks and we read: ours, or of the general semantic conventions. */
export const OURS = {
  tenant: 'sealtrail.tenant_id',
  tenantAudit: 'audit.tenant.id',
  outcome: 'sealtrail.outcome',
  actorName: 'audit.actor.name',
  targetName: 'audit.target.name',
  onBehalfOfId: 'sealtrail.on_behalf_of.id',
  onBehalfOfType: 'sealtrail.on_behalf_of.type',
  onBehalfOfName: 'sealtrail.on_behalf_of.name',
  requestId: 'sealtrail.request_id',
  requestIdOtel: 'request.id',
  workflowId: 'sealtrail.workflow_id',
  changes: 'sealtrail.changes',
  sessionId: 'session.id',
  userAgent: 'user_agent.original',
} as const;

/** Resource attributes worth keeping with each event, below `metadata.resource`. */
export const RESOURCE_KEPT: readonly string[] = [
  'service.namespace',
  'service.instance.id',
  'deployment.environment.name',
  'host.name',
  'host.id',
  'container.id',
  'k8s.namespace.name',
  'k8s.pod.name',
];

/** A record MUST carry these to count as an audit record. */
export const MANDATORY: readonly string[] = [
  AUDIT.recordId,
  AUDIT.actorId,
  AUDIT.actorType,
  AUDIT.action,
  AUDIT.outcome,
];

/** Member names of the JSON form that a producer signs (JCS); attributes are an object by name. */
export const SIGNED = {
  time: 'Timestamp',
  observedTime: 'ObservedTimestamp',
  eventName: 'EventName',
  body: 'Body',
  attributes: 'Attributes',
  traceId: 'TraceId',
  spanId: 'SpanId',
} as const;

/** Which attribute a field of the event came from, for refusals that a client can act on. */
export const SOURCE_OF_FIELD: ReadonlyMap<string, string> = new Map([
  ['/actor/id', AUDIT.actorId],
  ['/actor/name', OURS.actorName],
  ['/actor/session_id', OURS.sessionId],
  ['/event/action', AUDIT.action],
  ['/resource/id', AUDIT.targetId],
  ['/resource/type', AUDIT.targetType],
  ['/resource/name', OURS.targetName],
  ['/resource/tenant_id', OURS.tenant],
  ['/correlation/request_id', OURS.requestId],
  ['/correlation/workflow_id', OURS.workflowId],
  ['/source/user_agent', OURS.userAgent],
  ['/source/service', RESOURCE.serviceName],
  ['/source/service_version', RESOURCE.serviceVersion],
  ['/origin/record_id', AUDIT.recordId],
  ['/origin/sequence_number', AUDIT.sequenceNumber],
  ['/origin/previous_hash', AUDIT.previousHash],
  ['/origin/stream_id', AUDIT.streamId],
  ['/origin/integrity/value', AUDIT.integrityValue],
  ['/origin/integrity/signer', AUDIT.integritySigner],
  ['/changes', OURS.changes],
]);

/** Processing status of a record in an answer of `/v1/audit`. */
export type AuditStatus =
  | 'accepted_pending_verify'
  | 'verified_queued'
  | 'rejected_verify_failed'
  | 'rejected_schema_invalid'
  | 'rejected_authz'
  | 'failed_internal';

/** What became of a producer's integrity value. */
export type VerifyStatus = 'passed' | 'failed' | 'deferred';

/** What `/v1/audit` says of one record. */
export interface AuditAnswer {
  readonly record_id?: string;
  readonly status: AuditStatus;
  /** `this_hash` of the sealed record, 64 hex digits. */
  readonly integrity_hash?: string;
  /** Nanoseconds since the epoch, decimal; absent where a resent record's time is no longer known. */
  readonly sink_timestamp?: string;
  readonly verify_status?: VerifyStatus;
  readonly reason?: string;
  /** Seconds. */
  readonly retry_after?: number;
  /** The producer's own sequence did not continue where it stopped; the record was taken. */
  readonly chain_warning?: string;
  /** Ours: where the record lies. */
  readonly stream?: string;
  readonly seq?: number;
}

/** What `/v1/audit` says of several records. */
export interface AuditBatchAnswer {
  readonly batch_id: string;
  readonly status: AuditStatus;
  readonly reason?: string;
  readonly retry_after?: number;
  readonly record_status_map: { readonly [recordId: string]: AuditAnswer };
}
