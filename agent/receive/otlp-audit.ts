/**
 * `POST /v1/audit` of the OpenTelemetry Audit Logging draft: a receipt per record, no partial success.
 * Every record is judged before the first is appended; one bad record refuses the batch.
 */
import { randomUUID } from 'node:crypto';
import type { Origin } from '../../schemas/event.ts';
import type { AuditAnswer, AuditStatus, VerifyStatus } from '../../schemas/otel-audit.ts';
import type { Receipt } from '../../schemas/record.ts';
import type { AppendOutcome, Clock } from '../ports.ts';
import { answerAudit, answerAuditFault, type Answer, type HttpFault } from './otlp-answer.ts';
import type { SignalHandler, SignalOptions } from './otlp-logs.ts';
import {
  appendCandidates,
  countNacks,
  describeRejected,
  findOutage,
  type Candidate,
  type RejectedRecord,
} from './otlp-records.ts';
import type { SequenceWatch } from './otlp-sequence.ts';

/** Foreign record ids seen lately, to find a changed duplicate before anything is appended. */
export interface ForeignReceipts {
  find(tenant: string, origin: Origin): Receipt | 'conflict' | null;
}

export interface AuditOptions extends SignalOptions {
  readonly receipts: ForeignReceipts | undefined;
  readonly sequences: SequenceWatch;
  readonly clock: Clock;
}

/** Answers that were given, for the time of a record that is sent again. */
const ANSWERS_MAX = 20_000;
const CONFLICT = 'this record id was recorded before with another payload; use a new id';

/** Creates the handler of `/v1/audit`. */
export function createAuditHandler(options: AuditOptions): SignalHandler {
  const { admit, appender, meter, clock } = options;
  const times = new Map<string, string>();

  function refuse(rejected: readonly RejectedRecord[], count: number): Answer {
    countNacks(
      meter,
      rejected.map(({ kind }) => kind),
    );
    return answerRejected(rejected, count);
  }

  function timeOf(outcome: AppendOutcome & { readonly receipt: Receipt }): string | undefined {
    const key = `${outcome.receipt.stream}/${outcome.receipt.seq}`;
    if (outcome.kind === 'duplicate') return times.get(key);
    const time = `${clock.nowMs()}000000`;
    times.set(key, time);
    if (times.size > ANSWERS_MAX) times.delete(times.keys().next().value ?? '');
    return time;
  }

  function describe(candidate: Candidate, outcome: AppendOutcome): AuditAnswer {
    const { origin } = candidate.event;
    if (outcome.kind === 'refused') {
      return rejection({ ...outcome.refusal, index: 0, recordId: origin.record_id });
    }
    const time = timeOf(outcome);
    const warning =
      outcome.kind === 'appended' ? options.sequences.note(candidate.event, outcome.receipt) : null;
    const verified: VerifyStatus = origin.integrity?.verify_status ?? 'deferred';
    return {
      record_id: origin.record_id,
      status: verified === 'passed' ? 'verified_queued' : 'accepted_pending_verify',
      integrity_hash: outcome.receipt.this_hash,
      ...(time === undefined ? {} : { sink_timestamp: time }),
      verify_status: verified,
      ...(warning === null ? {} : { chain_warning: warning }),
      stream: outcome.receipt.stream,
      seq: outcome.receipt.seq,
    };
  }

  return async (bytes, encoding, allowed) => {
    const verdicts = admit(bytes, encoding, allowed);
    const fault = verdicts.ok ? checkCount(verdicts.value.length) : verdicts.error;
    if (!verdicts.ok || fault !== null) return refuseWhole(fault);
    const candidates = verdicts.value.flatMap((verdict) => (verdict.ok ? [verdict.value] : []));
    const rejected = verdicts.value.flatMap((verdict) => (verdict.ok ? [] : [verdict.error]));
    rejected.push(...findConflicts(candidates, options.receipts));
    const count = verdicts.value.length;
    if (rejected.length > 0) return refuse(rejected, count);

    const outcomes = await appendCandidates(appender, candidates);
    const outage = findOutage(outcomes);
    if (outage !== null) return refuseWhole(outage);
    const answers = candidates.map((candidate, at): AuditAnswer => {
      const outcome = outcomes[at];
      if (outcome === undefined) throw new Error('an append without an outcome for each event');
      return describe(candidate, outcome);
    });
    const refused = outcomes.flatMap((each) =>
      each.kind === 'refused' ? [each.refusal.kind] : [],
    );
    countNacks(meter, refused);
    if (refused.length < count) meter.acks(count - refused.length);
    return answerTaken(
      answers,
      refused.includes('id_conflict') ? 409 : refused.length > 0 ? 400 : 202,
    );
  };

  function refuseWhole(fault: HttpFault | null): Answer {
    const given = fault ?? { status: 500, kind: 'internal', message: 'internal error' };
    meter.nacks(given.kind, 1);
    return answerAuditFault(given);
  }
}

function checkCount(count: number): HttpFault | null {
  if (count > 0) return null;
  return { status: 400, kind: 'malformed', message: 'the request carries no record' };
}

/** Changed duplicates: within the request, and of what was recorded before. */
function findConflicts(
  candidates: readonly Candidate[],
  receipts: ForeignReceipts | undefined,
): readonly RejectedRecord[] {
  const payloads = new Map<string, string>();
  return candidates.flatMap(({ event, admitted }, index): readonly RejectedRecord[] => {
    const { record_id: recordId, payload_sha256: payload } = event.origin;
    const key = `${admitted.tenant}\n${recordId}`;
    const earlier = payloads.get(key);
    payloads.set(key, earlier ?? payload);
    const isKnown = receipts?.find(admitted.tenant, event.origin) === 'conflict';
    if (!isKnown && (earlier === undefined || earlier === payload)) return [];
    return [{ kind: 'id_conflict', message: CONFLICT, index, recordId }];
  });
}

interface RejectionStatus {
  readonly http: number;
  readonly word: AuditStatus;
}

const AUTHZ: RejectionStatus = { http: 403, word: 'rejected_authz' };
const INVALID: RejectionStatus = { http: 400, word: 'rejected_schema_invalid' };
const REJECTIONS: ReadonlyMap<RejectedRecord['kind'], RejectionStatus> = new Map([
  ['unknown_tenant', AUTHZ],
  ['tenant_not_allowed', AUTHZ],
  ['unauthorized', AUTHZ],
  ['integrity_failed', { http: 400, word: 'rejected_verify_failed' }],
  ['id_conflict', { http: 409, word: 'rejected_schema_invalid' }],
  ['too_large', { http: 413, word: 'rejected_schema_invalid' }],
]);

function statusOf(kind: RejectedRecord['kind']): RejectionStatus {
  return REJECTIONS.get(kind) ?? INVALID;
}

function rejection(rejected: RejectedRecord): AuditAnswer {
  const { recordId } = rejected;
  return {
    ...(recordId === undefined ? {} : { record_id: recordId }),
    status: statusOf(rejected.kind).word,
    ...(rejected.kind === 'integrity_failed' ? { verify_status: 'failed' as const } : {}),
    reason: rejected.message,
  };
}

/** The records that are not named were fine, and were not stored either. */
function answerRejected(rejected: readonly RejectedRecord[], count: number): Answer {
  const worst = rejected.reduce((one, other) => (rank(other) < rank(one) ? other : one));
  const { http, word } = statusOf(worst.kind);
  if (count === 1) return answerAudit(http, rejection(worst));
  return answerAudit(http, {
    batch_id: randomUUID(),
    status: word,
    reason: `nothing of this batch was stored: ${describeRejected(rejected)}`,
    record_status_map: mapById(
      rejected.map((each) => [each.recordId ?? `#${each.index}`, rejection(each)]),
    ),
  });
}

/** What the client has to settle first comes first: its rights, its records, their ids. */
function rank(rejected: RejectedRecord): number {
  return [403, 400, 413, 409].indexOf(statusOf(rejected.kind).http);
}

function answerTaken(answers: readonly AuditAnswer[], http: number): Answer {
  const [first] = answers;
  if (answers.length === 1 && first !== undefined) return answerAudit(http, first);
  const refused = answers.find(({ reason }) => reason !== undefined);
  const pending = answers.find(({ status }) => status === 'accepted_pending_verify');
  return answerAudit(http, {
    batch_id: randomUUID(),
    status: refused?.status ?? pending?.status ?? 'verified_queued',
    ...(refused === undefined
      ? {}
      : { reason: 'a record was refused while the batch was stored; see each record' }),
    record_status_map: mapById(answers.map((answer) => [answer.record_id ?? '', answer])),
  });
}

function mapById(pairs: readonly (readonly [string, AuditAnswer])[]): {
  readonly [recordId: string]: AuditAnswer;
} {
  return Object.fromEntries(pairs);
}
