/**
 * Every way in which the SDK says no: one error class, stable codes, a hint for the person who
 * reads it. A message names fields and never quotes what is in them.
 */
import type { RefusalKind } from '../schemas/refusal.ts';

/** Codes of the SDK itself; an event that the agent refused carries its `RefusalKind` instead. */
export const AuditErrorCode = {
  /** No key for redaction tokens; nothing can be recorded without one. */
  redactionKeyMissing: 'redaction_key_missing',
  redactionKeyInvalid: 'redaction_key_invalid',
  vocabularyInvalid: 'vocabulary_invalid',
  optionsInvalid: 'options_invalid',
  /** One of the five W's is missing; decided before any I/O. */
  incompleteEvent: 'incomplete_event',
  /** The queue of un-acked events is at its bound. */
  queueFull: 'queue_full',
  /** No connection to the agent within timeoutMs. */
  agentUnavailable: 'agent_unavailable',
  /** Sent, but not acked within timeoutMs. */
  timeout: 'timeout',
  /** Audit writes keep failing: no action is let through, whatever its fail policy. */
  circuitOpen: 'circuit_open',
  /** The vault gave no token for a marked person, and the action is fail-closed. */
  subjectUnavailable: 'subject_unavailable',
  /** record() after close(). */
  closed: 'closed',
  /** The agent refused with a kind that this version does not know. */
  refused: 'refused',
} as const;
export type AuditErrorCode = (typeof AuditErrorCode)[keyof typeof AuditErrorCode] | RefusalKind;

/** The refusal kinds this version knows, and what to do about each where nothing better is known. */
export const REFUSAL_HINTS: Readonly<Record<RefusalKind, string>> = {
  malformed: 'Do SDK and agent have the same version? The agent could not read the event.',
  unsafe_json: 'Give plain objects, strings, safe numbers, booleans and null.',
  duplicate_key: 'Name each member once.',
  forbidden_key: 'Remove the member named __proto__.',
  too_large: 'Record a reference to large content, not the content.',
  schema_invalid: 'Correct the field named here.',
  unsupported_version: 'Upgrade the agent.',
  unknown_action: "Add the action to the agent's vocabulary file and restart the agent.",
  unknown_tenant: "Declare the tenant under `tenants` in the agent's configuration.",
  tenant_not_allowed: 'Allow the tenant in `tenants` of the socket receiver.',
  id_conflict: 'Give each event an id of its own.',
  unauthorized: "Check the credentials in the agent's configuration.",
  protocol_error: 'Do SDK and agent have the same version?',
  disk_full: "Free space on the agent's disk; it takes events again by itself.",
  storage_failed: "The agent's disk fails: see `sealtrail status` and the system log.",
  shutting_down: 'The agent is stopping; start it again, and record the event again.',
};

/** The code under which a caller sees a refusal by the agent. */
export function codeOfRefusal(kind: string): AuditErrorCode {
  return isRefusalKind(kind) ? kind : AuditErrorCode.refused;
}

function isRefusalKind(kind: string): kind is RefusalKind {
  return Object.hasOwn(REFUSAL_HINTS, kind);
}

interface AuditErrorDetails {
  readonly hint?: string;
  readonly field?: string;
  readonly cause?: unknown;
  readonly recorded?: 'no' | 'unknown';
  readonly performed?: 'no' | 'yes';
}

/** Why an event was not recorded (or is not known to be). */
export class AuditError extends Error {
  override readonly name: string = 'AuditError';
  /** Stable; safe to branch on. */
  readonly code: AuditErrorCode;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** JSON pointer into the event, where one field is to blame. */
  readonly field: string | undefined;
  /** `unknown`: the event was sent and may yet be recorded (once); `no`: it is not. */
  readonly recorded: 'no' | 'unknown';
  /** Thrown by audited(): whether the business action took place all the same. Else undefined. */
  readonly performed: 'no' | 'yes' | undefined;

  constructor(code: AuditErrorCode, message: string, details: AuditErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint ?? (isRefusalKind(code) ? REFUSAL_HINTS[code] : undefined);
    this.field = details.field;
    this.recorded = details.recorded ?? 'no';
    this.performed = details.performed;
  }
}
