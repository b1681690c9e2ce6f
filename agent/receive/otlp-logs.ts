/**
 * `POST /v1/logs`: stock OpenTelemetry exporters. Each record is judged alone; what is no audit record
 * comes back in the partial success. An outage refuses the whole request, because the exporter then
 * sends it again and the record ids keep that harmless.
 */
import type { Appender, Meter, TenantAllowList } from '../ports.ts';
import type { Result } from '../../schemas/result.ts';
import {
  answerFault,
  answerLogs,
  type Answer,
  type Encoding,
  type HttpFault,
} from './otlp-answer.ts';
import {
  appendCandidates,
  countNacks,
  describeRejected,
  findOutage,
  type Candidate,
  type RejectedRecord,
  type Verdict,
} from './otlp-records.ts';

export interface SignalOptions {
  readonly appender: Appender;
  readonly meter: Meter;
  readonly admit: (
    bytes: Uint8Array,
    encoding: Encoding,
    allowed: TenantAllowList,
  ) => Result<readonly Verdict[], HttpFault>;
}

/** Answers one request body; success only after everything accepted is fsynced. */
export type SignalHandler = (
  bytes: Uint8Array,
  encoding: Encoding,
  allowed: TenantAllowList,
) => Promise<Answer>;

/** Creates the handler of `/v1/logs`. */
export function createLogsHandler(options: SignalOptions): SignalHandler {
  const { admit, appender, meter } = options;

  return async (bytes, encoding, allowed) => {
    const verdicts = admit(bytes, encoding, allowed);
    if (!verdicts.ok) {
      meter.nacks(verdicts.error.kind, 1);
      return answerFault(encoding, verdicts.error);
    }
    const { candidates, places, rejected } = split(verdicts.value);
    const outcomes = await appendCandidates(appender, candidates);
    const outage = findOutage(outcomes);
    if (outage !== null) return answerFault(encoding, outage);
    // What came as far as the append stage was counted there.
    countNacks(
      meter,
      rejected.map(({ kind }) => kind),
    );
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.kind === 'refused') rejected.push({ ...outcome.refusal, index: places[at] ?? 0 });
    }
    rejected.sort((one, other) => one.index - other.index);
    return answerLogs(encoding, rejected.length, describeRejected(rejected));
  };
}

function split(verdicts: readonly Verdict[]): {
  readonly candidates: readonly Candidate[];
  /** Place in the request of each candidate. */
  readonly places: readonly number[];
  readonly rejected: RejectedRecord[];
} {
  const candidates: Candidate[] = [];
  const places: number[] = [];
  const rejected: RejectedRecord[] = [];
  for (const [index, verdict] of verdicts.entries()) {
    if (!verdict.ok) {
      rejected.push(verdict.error);
      continue;
    }
    candidates.push(verdict.value);
    places.push(index);
  }
  return { candidates, places, rejected };
}
