/**
 * One try of a batch: what is too large goes in halves, and every record ends up confirmed, to be
 * sent again, or poison.
 */
import { assertNever } from '../../schemas/result.ts';
import type { DeliveryRecord, DeliveryReport, DeliveryResult, Sink } from '../ports.ts';
import type { Timing } from './timing.ts';

export interface Poison {
  readonly record: DeliveryRecord;
  /** Without event contents. */
  readonly reason: string;
}

export interface Sent {
  readonly confirmed: number;
  readonly again: readonly DeliveryRecord[];
  readonly poison: readonly Poison[];
  /** Why records are to be sent again; '' when none are. */
  readonly reason: string;
  readonly retryAfterMs: number;
}

export interface Sender {
  readonly sink: Sink;
  readonly timing: Timing;
  readonly signal: AbortSignal;
  readonly onReport: (report: DeliveryReport) => void;
}

/** Sends a batch once. */
export async function send(sender: Sender, records: readonly DeliveryRecord[]): Promise<Sent> {
  if (records.length === 0) return sendAgain([], '');
  const result = await deliver(sender, records);
  switch (result.kind) {
    case 'delivered': {
      const again = pick(records, result.retry);
      return {
        confirmed: records.length - result.retry.length - result.poison.length,
        again,
        poison: result.poison.flatMap(({ index, reason }) =>
          pick(records, [index]).map((record) => ({ record, reason })),
        ),
        reason: again.length === 0 ? '' : describePartial(records.length, result),
        retryAfterMs: result.retryAfterMs ?? 0,
      };
    }
    case 'failed':
      return sendAgain(records, result.reason, result.retryAfterMs);
    case 'too_large':
      return sendHalves(sender, records, result.reason);
    default:
      return assertNever(result);
  }
}

async function deliver(
  sender: Sender,
  records: readonly DeliveryRecord[],
): Promise<DeliveryResult> {
  const { sink, timing } = sender;
  const startedMs = timing.nowMs();
  const result = await sink.deliver(records, sender.signal);
  sender.onReport({
    sink: sink.name,
    records: records.length,
    startedMs,
    durationMs: timing.nowMs() - startedMs,
    outcome: outcomeOf(result),
  });
  return result;
}

async function sendHalves(
  sender: Sender,
  records: readonly DeliveryRecord[],
  reason: string,
): Promise<Sent> {
  const [only] = records;
  if (records.length === 1 && only !== undefined) {
    return { ...sendAgain([], ''), poison: [{ record: only, reason }] };
  }
  const middle = Math.ceil(records.length / 2);
  const first = await send(sender, records.slice(0, middle));
  const behind = records.slice(middle);
  // A sink in trouble is left alone with the rest.
  const second =
    first.again.length === 0 && !sender.signal.aborted
      ? await send(sender, behind)
      : sendAgain(behind, first.reason);
  return {
    confirmed: first.confirmed + second.confirmed,
    again: [...first.again, ...second.again],
    poison: [...first.poison, ...second.poison],
    reason: first.reason === '' ? second.reason : first.reason,
    retryAfterMs: Math.max(first.retryAfterMs, second.retryAfterMs),
  };
}

function sendAgain(
  again: readonly DeliveryRecord[],
  reason: string,
  retryAfterMs: number | undefined = 0,
): Sent {
  return { confirmed: 0, again, poison: [], reason, retryAfterMs };
}

function pick(records: readonly DeliveryRecord[], indexes: readonly number[]): DeliveryRecord[] {
  return indexes.flatMap((index) => records[index] ?? []);
}

function describePartial(
  count: number,
  { retry, reason }: Extract<DeliveryResult, { kind: 'delivered' }>,
): string {
  return `${retry.length} of ${count} records put off${reason === undefined ? '' : `: ${reason}`}`;
}

function outcomeOf(result: DeliveryResult): DeliveryReport['outcome'] {
  if (result.kind !== 'delivered') return 'failed';
  return result.retry.length + result.poison.length === 0 ? 'delivered' : 'partial';
}
