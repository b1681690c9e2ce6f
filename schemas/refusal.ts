/**
 * Refusals: why an event or a frame was not taken. The kinds are part of the wire
 * protocol and of the metric `audit_receive_nacks_total{kind}`; they never change meaning.
 */
export type RefusalKind =
  /** Not one JSON object in valid UTF-8. */
  | 'malformed'
  /** JSON that this product does not take: depth, number range, lone surrogate, U+0000. */
  | 'unsafe_json'
  | 'duplicate_key'
  /** `__proto__` as a member name. */
  | 'forbidden_key'
  | 'too_large'
  /** A field is missing or has a wrong form. */
  | 'schema_invalid'
  | 'unsupported_version'
  | 'unknown_action'
  | 'unknown_tenant'
  | 'tenant_not_allowed'
  /** The same foreign record id with another payload. */
  | 'id_conflict'
  | 'unauthorized'
  /** The frame broke the socket protocol; the connection ends. */
  | 'protocol_error'
  | 'disk_full'
  /** The disk failed; the agent stops taking events. */
  | 'storage_failed'
  | 'shutting_down';

export interface Refusal {
  readonly kind: RefusalKind;
  /** Names the field and what to do about it. Never quotes event contents. */
  readonly message: string;
  /** JSON pointer of the field, where one is to blame. */
  readonly field?: string;
}

/** The kinds after which the same event may be accepted later. */
export const RETRYABLE_KINDS: ReadonlySet<RefusalKind> = new Set<RefusalKind>([
  'disk_full',
  'storage_failed',
  'shutting_down',
]);

/** Builds a refusal. */
export function refusal(kind: RefusalKind, message: string, field?: string): Refusal {
  return field === undefined ? { kind, message } : { kind, message, field };
}
