/** The values of `audit_receive_nacks_total{kind}`. Bounded: a label must not grow with what clients do. */
import type { RefusalKind } from '../../schemas/refusal.ts';

/** Refusals of events; the compiler asks for each kind. */
const REFUSALS: Readonly<Record<RefusalKind, true>> = {
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

/** What else the OTLP receiver turns away: connections and requests. */
const REQUESTS = [
  'aborted',
  'backpressure',
  'integrity_failed',
  'internal',
  'method_not_allowed',
  'not_found',
  'timeout',
  'tls_failed',
  'too_many_connections',
  'unsupported_encoding',
  'unsupported_media_type',
];

const OTHER = 'other';

/** Every value the label takes. */
export const NACK_KINDS: ReadonlySet<string> = new Set([
  ...Object.keys(REFUSALS),
  ...REQUESTS,
  OTHER,
]);

/** The kind itself, or `other`. */
export function boundNackKind(kind: string): string {
  return NACK_KINDS.has(kind) ? kind : OTHER;
}
