/**
 * From the bytes of a request to admitted events, one verdict per record, in order. Shared by both
 * signals; what a refusal means for the rest of the request is theirs to say.
 */
import { RETRYABLE_KINDS } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { SOURCE_OF_FIELD } from '../../schemas/otel-audit.ts';
import type { Attributes, ReceivedRecord } from '../../schemas/otlp.ts';
import {
  APPEND_BYTES_MAX,
  type Admission,
  type AdmittedEvent,
  type AppendOutcome,
  type Appender,
  type Meter,
  type TenantAllowList,
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
import { readResource } from './otlp-resource.ts';

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
  body: Uint8Array,
  encoding: Encoding,
  mapping: MappingOptions,
  admission: Admission,
  allowed: TenantAllowList,
): Result<readonly Verdict[], HttpFault> {
  const decoded = encoding === 'json' ? decodeJsonRequest(body) : decodeLogsRequest(body);
  const parsed = decoded.ok ? parseLogsRequest(decoded.value) : decoded;
  if (!parsed.ok) {
    const { kind, message } = parsed.error;
    return err({ status: kind === 'too_large' ? 413 : 400, kind, message });
  }
  const resources = new Map<Attributes, ReturnType<typeof readResource>>();
  const verdicts: Verdict[] = [];
  let bytes = 0;
  for (const [index, { resource, record }] of parsed.value.entries()) {
    const known = resources.get(resource) ?? readResource(resource);
    resources.set(resource, known);
    const verdict = judge(record, known, index, { mapping, admission, allowed });
    verdicts.push(verdict);
    if (verdict.ok) bytes += verdict.value.admitted.canonical.bytes.length;
    // Refused here rather than when all of it is in memory.
    if (bytes > APPEND_BYTES_MAX) {
      const message =
        'the records of the request are too large to be stored at once; send it in parts';
      return err({ status: 413, kind: 'too_large', message });
    }
  }
  return ok(verdicts);
}

function judge(
  record: ReceivedRecord['record'],
  resource: ReturnType<typeof readResource>,
  index: number,
  door: {
    readonly mapping: MappingOptions;
    readonly admission: Admission;
    readonly allowed: TenantAllowList;
  },
): Verdict {
  if (!record.ok) return err({ ...record.error, index });
  const recordId = idOf(record.value.attributes);
  if (!resource.ok) return err({ ...resource.error, index, ...recordId });
  const mapped = mapRecord(record.value, resource.value, door.mapping);
  if (!mapped.ok) return err({ ...mapped.error, index, ...recordId });
  const admitted = door.admission.admitEvent(mapped.value, door.allowed);
  if (admitted.ok) return ok({ event: mapped.value, admitted: admitted.value });
  return err({ ...translate(admitted.error), index, ...recordId });
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
