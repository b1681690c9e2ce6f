/**
 * From the bytes of a request to admitted events, one verdict per record, in order. Shared by both
 * signals; what a refusal means for the rest of the request is theirs to say.
 */
import { RETRYABLE_KINDS } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { SOURCE_OF_FIELD } from '../../schemas/otel-audit.ts';
import type {
  Admission,
  AdmittedEvent,
  AppendOutcome,
  Appender,
  Meter,
  TenantAllowList,
} from '../ports.ts';
import type { Encoding, HttpFault } from './otlp-answer.ts';
import {
  mapRecord,
  type ForeignEvent,
  type MappingFault,
  type MappingOptions,
} from './otlp-map.ts';
import { decodeJsonRequest, parseLogsRequest } from './otlp-parse.ts';
import { decodeLogsRequest } from './otlp-protobuf.ts';

/** A record that may be sealed. */
export interface Candidate {
  readonly event: ForeignEvent;
  readonly admitted: AdmittedEvent;
}

export interface RejectedRecord extends MappingFault {
  /** 0-based place in the request, over all resources and scopes. */
  readonly index: number;
  /** The record's id, where it could be read. */
  readonly recordId?: string;
}

/** One place per record of the request. */
export type Verdict = Result<Candidate, RejectedRecord>;

/** Producer name of all foreign clients: they number nothing. */
const PRODUCER = 'otlp';
const REASONS_MAX = 5;

/** Decodes, maps and admits every record of a request. */
export function admitRequest(
  bytes: Uint8Array,
  encoding: Encoding,
  mapping: MappingOptions,
  admission: Admission,
  allowed: TenantAllowList,
): Result<readonly Verdict[], HttpFault> {
  const decoded = encoding === 'json' ? decodeJsonRequest(bytes) : decodeLogsRequest(bytes);
  const parsed = decoded.ok ? parseLogsRequest(decoded.value) : decoded;
  if (!parsed.ok) {
    const { kind, message } = parsed.error;
    return err({ status: kind === 'too_large' ? 413 : 400, kind, message });
  }
  return ok(
    parsed.value.map(({ resource, record }, index): Verdict => {
      if (!record.ok) return err({ ...record.error, index });
      const mapped = mapRecord(record.value, resource, mapping);
      if (!mapped.ok) return err({ ...mapped.error, index, ...idOf(record.value.attributes) });
      const event = mapped.value;
      const admitted = admission.admitEvent(event, allowed);
      if (admitted.ok) return ok({ event, admitted: admitted.value });
      return err({ ...translate(admitted.error), index, recordId: event.origin.record_id });
    }),
  );
}

function idOf(attributes: ReadonlyMap<string, unknown>): { readonly recordId?: string } {
  const value = attributes.get('audit.record.id');
  if (typeof value !== 'object' || value === null || !('stringValue' in value)) return {};
  return typeof value.stringValue === 'string' ? { recordId: value.stringValue } : {};
}

/** Names the attribute instead of the event's field, which the client has never seen. */
function translate(fault: MappingFault): MappingFault {
  const attribute = fault.field === undefined ? undefined : SOURCE_OF_FIELD.get(fault.field);
  if (attribute === undefined) return fault;
  return { ...fault, message: `${attribute}: ${fault.message}`, field: attribute };
}

/** Appends candidates; resolves after the fsync, one outcome per candidate, in order. */
export async function appendCandidates(
  appender: Appender,
  candidates: readonly Candidate[],
): Promise<readonly AppendOutcome[]> {
  if (candidates.length === 0) return [];
  const events = candidates.map(({ admitted }) => ok(admitted));
  return appender.append({ producer: PRODUCER, firstSeq: null, events });
}

/** The fault of a request that the ledger cannot take now; null when it took or judged every record. */
export function findOutage(outcomes: readonly AppendOutcome[]): HttpFault | null {
  for (const outcome of outcomes) {
    if (outcome.kind !== 'refused' || !RETRYABLE_KINDS.has(outcome.refusal.kind)) continue;
    const { kind, message } = outcome.refusal;
    return { status: 503, kind, message, retryAfterSeconds: kind === 'disk_full' ? 30 : 5 };
  }
  return null;
}

/** Counts refusals by kind. */
export function countNacks(meter: Meter, kinds: readonly string[]): void {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  for (const [kind, count] of counts) meter.nacks(kind, count);
}

/** The first reasons, each with its record's 0-based place. */
export function describeRejected(rejected: readonly RejectedRecord[]): string {
  const reasons = rejected
    .slice(0, REASONS_MAX)
    .map(({ index, kind, message }) => `record ${index}: ${kind}: ${message}`);
  const more = rejected.length - reasons.length;
  return reasons.join('; ') + (more > 0 ? `; and ${more} more` : '');
}
