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
  /** record() after close(), or close() ran out of time. */
  closed: 'closed',
  /** The agent refused with a kind that this version does not know. */
  refused: 'refused',
} as const;
export type AuditErrorCode = (typeof AuditErrorCode)[keyof typeof AuditErrorCode] | RefusalKind;

/** Refusal kinds this version knows, as they arrive from the agent. */
const KNOWN_KINDS: Readonly<Record<RefusalKind, true>> = {
  malformed: true,
  unsafe_json: true,
  duplicate_key: true,
  forbidden_key: true,
  too_large: true,
  schema_invalid: true,
  unsupported_version: true,
  unknown_action: true,
  unknown_tenant: true,
  tenant_not_allowed: true,
  id_conflict: true,
  unauthorized: true,
  protocol_error: true,
  disk_full: true,
  storage_failed: true,
  shutting_down: true,
};

/** Whether the text is a refusal kind of this version. */
export function isRefusalKind(kind: string): kind is RefusalKind {
  return Object.hasOwn(KNOWN_KINDS, kind);
}

/** The code under which a caller sees a refusal by the agent. */
export function codeOfRefusal(kind: string): AuditErrorCode {
  return isRefusalKind(kind) ? kind : AuditErrorCode.refused;
}

interface AuditErrorDetails {
  readonly hint?: string;
  readonly field?: string;
  readonly cause?: unknown;
  readonly recorded?: 'no' | 'unknown';
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

  constructor(code: AuditErrorCode, message: string, details: AuditErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.field = details.field;
    this.recorded = details.recorded ?? 'no';
  }
}
