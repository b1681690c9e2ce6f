/**
 * `POST /v1/audit` of the OpenTelemetry Audit Logging draft: a receipt per record, no partial success.
 * Every record is judged before the first is appended; one bad record refuses the batch.
 */
import { randomUUID } from 'node:crypto';
import type { Origin } from '../../schemas/event.ts';
import type { AuditAnswer, AuditStatus, VerifyStatus } from '../../schemas/otel-audit.ts';
import type { Receipt } from '../../schemas/record.ts';
import { assert } from '../../schemas/result.ts';
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
  type Verdict,
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

/** Receipts whose time is remembered, for records that are sent again. */
const TIMES_MAX = 20_000;
const CONFLICT = 'this record id was recorded before with another payload; use a new id';
const NO_RECORD: HttpFault = {
  status: 400,
  kind: 'malformed',
  message: 'the request carries no record',
};

/** Creates the handler of `/v1/audit`. */
export function createAuditHandler(options: AuditOptions): SignalHandler {
  const { admit, appender, meter } = options;
  const describe = createDescriber(options);

  function refuseWhole(fault: HttpFault): Answer {
    meter.nacks(fault.kind, 1);
    return answerAuditFault(fault);
  }

  return async (bytes, encoding, allowed) => {
    const admitted = admit(bytes, encoding, allowed);
    if (!admitted.ok) return refuseWhole(admitted.error);
    const verdicts = admitted.value;
    if (verdicts.length === 0) return refuseWhole(NO_RECORD);
    const candidates = verdicts.flatMap((verdict) => (verdict.ok ? [verdict.value] : []));
    const rejected = [
      ...verdicts.flatMap((verdict) => (verdict.ok ? [] : [verdict.error])),
      ...findConflicts(verdicts, options.receipts),
    ];
    if (rejected.length > 0) {
      countNacks(
        meter,
        rejected.map(({ kind }) => kind),
      );
      return answerRejected(rejected, verdicts.length);
    }
    const outcomes = await appendCandidates(appender, candidates);
    const outage = findOutage(outcomes);
    // What came as far as the append stage was counted there.
    if (outage !== null) return answerAuditFault(outage);
    const answers = candidates.map((candidate, at): AuditAnswer => {
      const outcome = outcomes[at];
      assert(outcome !== undefined, 'an append gives an outcome for each event');
      return describe(candidate, outcome);
    });
    return answerTaken(answers, httpStatusOf(outcomes));
  };
}

/** Two requests that race with one id may meet only in the append stage, after the check before it. */
function httpStatusOf(outcomes: readonly AppendOutcome[]): number {
  const refused = outcomes.flatMap((each) => (each.kind === 'refused' ? [each.refusal.kind] : []));
  if (refused.length === 0) return 202;
  return refused.includes('id_conflict') ? 409 : 400;
}

type Describe = (candidate: Candidate, outcome: AppendOutcome) => AuditAnswer;

function createDescriber(options: AuditOptions): Describe {
  const times = new Map<string, string>();

  function timeOf(kind: 'appended' | 'duplicate', receipt: Receipt): string | undefined {
    const key = `${receipt.stream}/${receipt.seq}`;
    if (kind === 'duplicate') return times.get(key);
    const time = `${options.clock.nowMs()}000000`;
    times.set(key, time);
    if (times.size > TIMES_MAX) times.delete(times.keys().next().value ?? '');
    return time;
  }

  return (candidate, outcome) => {
    const { origin } = candidate.event;
    if (outcome.kind === 'refused') {
      return rejection({ ...outcome.refusal, index: 0, recordId: origin.record_id });
    }
    const { kind, receipt } = outcome;
    const time = timeOf(kind, receipt);
    const warning = kind === 'appended' ? options.sequences.note(candidate.event, receipt) : null;
    const verified: VerifyStatus = origin.integrity?.verify_status ?? 'deferred';
    return {
      record_id: origin.record_id,
      status: verified === 'passed' ? 'verified_queued' : 'accepted_pending_verify',
      integrity_hash: receipt.this_hash,
      ...(time === undefined ? {} : { sink_timestamp: time }),
      verify_status: verified,
      ...(warning === null ? {} : { chain_warning: warning }),
      stream: receipt.stream,
      seq: receipt.seq,
    };
  };
}

/** Changed duplicates: within the request, and of what was recorded before. */
function findConflicts(
  verdicts: readonly Verdict[],
  receipts: ForeignReceipts | undefined,
): readonly RejectedRecord[] {
  const payloads = new Map<string, string>();
  return verdicts.flatMap((verdict, index): readonly RejectedRecord[] => {
    if (!verdict.ok) return [];
    const { event, admitted } = verdict.value;
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
