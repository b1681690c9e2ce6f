/**
 * Settles a batch: sends it until every record is confirmed or a dead letter. What is put off goes
 * again before anything behind it does. In between the sink is left alone for as long as backoff and
 * Retry-After say.
 */
import type { RetryConfig } from '../../schemas/exporter-config.ts';
import type { DeliveryRecord, Logger } from '../ports.ts';
import { decideBackoffMs } from './backoff.ts';
import { letterOf } from './dead-letter-line.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Progress } from './progress.ts';
import { send, type Poison, type Sender } from './sending.ts';
import { pause } from './timing.ts';

export interface SettleOptions {
  readonly sender: Sender;
  readonly letters: DeadLetters;
  readonly retry: RetryConfig;
  readonly progress: Progress;
  readonly log: Logger;
  /** Runs one try at a time, so that nothing else uses the sink until its outcome is noted. */
  readonly turn: <T>(work: () => Promise<T>) => Promise<T>;
  /** Called within the last try's turn, when the whole batch is settled. */
  readonly onSettled: (records: readonly DeliveryRecord[]) => void;
  /** Whether more waits than a bound allows: then the batch is given back unsettled after a failed try. */
  readonly isOver?: () => Promise<boolean>;
}

/** Settles a batch, however long it takes; false when the signal or a bound ended it before. */
export async function settle(
  options: SettleOptions,
  records: readonly DeliveryRecord[],
): Promise<boolean> {
  const { sender, letters } = options;
  let pending: readonly DeliveryRecord[] = records.filter(({ number }) => !letters.holds(number));
  for (let attempt = 1; !sender.signal.aborted; attempt++) {
    const tried = await options.turn(async (): Promise<Tried> => {
      if (sender.signal.aborted) return { pending, waitMs: 0 };
      const outcome = await tryOnce(options, pending, attempt);
      if (outcome.pending.length === 0) options.onSettled(records);
      return outcome;
    });
    pending = tried.pending;
    if (pending.length === 0) return true;
    if ((await options.isOver?.()) === true) return false;
    await pause(sender.timing, tried.waitMs, sender.signal);
  }
  return false;
}

interface Tried {
  readonly pending: readonly DeliveryRecord[];
  readonly waitMs: number;
}

async function tryOnce(
  options: SettleOptions,
  records: readonly DeliveryRecord[],
  attempt: number,
): Promise<Tried> {
  const { sender, retry, progress } = options;
  const sent = await send(sender, records);
  // What a sink says while it is being stopped is no verdict on a record.
  const isLastTry = attempt === retry.attempts_max && !sender.signal.aborted;
  const dead = isLastTry
    ? [...sent.poison, ...sent.again.map((record) => ({ record, reason: sent.reason }))]
    : sent.poison;
  const { delivered_total } = progress.report();
  progress.change({ delivered_total: delivered_total + sent.confirmed });
  if (!(await setAside(options, dead, attempt))) return { pending: records, waitMs: 0 };
  if (isLastTry || sent.again.length === 0) {
    if (attempt > 1) options.log.info({ sink: sender.sink.name }, 'the sink takes records again');
    return { pending: [], waitMs: 0 };
  }
  const waitMs = decideBackoffMs(attempt, retry, sender.timing.random(), sent.retryAfterMs);
  if (!sender.signal.aborted) noteRetry(options, sent.reason, attempt, waitMs);
  return { pending: sent.again, waitMs };
}

function noteRetry(
  { sender, progress, log }: SettleOptions,
  reason: string,
  attempt: number,
  waitMs: number,
): void {
  progress.change({
    state: 'retrying',
    retries_total: progress.report().retries_total + 1,
    last_error: reason,
    last_error_at: new Date(sender.timing.nowMs()).toISOString(),
  });
  // Once per trouble: a sink that is down for a day must not fill the log.
  const level = attempt === 1 ? 'warn' : 'debug';
  log[level]({ sink: sender.sink.name, reason, attempt, waitMs }, 'the sink did not take records');
}

/** Puts records into the dead-letter queue, however long the disk takes; false when stopped before. */
async function setAside(
  options: SettleOptions,
  dead: readonly Poison[],
  attempts: number,
): Promise<boolean> {
  if (dead.length === 0) return true;
  const { sender, letters, progress, log } = options;
  const { sink, timing, signal } = sender;
  const kept = dead.map(({ record, reason }) =>
    letterOf(sink.name, record, { reason, attempts, atMs: timing.nowMs() }),
  );
  for (let attempt = 1; ; attempt++) {
    const added = await letters.add(kept);
    if (added.ok) break;
    const waitMs = decideBackoffMs(attempt, options.retry, timing.random());
    noteRetry(options, added.error, attempt, waitMs);
    await pause(timing, waitMs, signal);
    if (signal.aborted) return false;
  }
  progress.change({
    dead_letters: letters.count(),
    last_error: `dead letter: ${dead[0]?.reason ?? ''}`,
    last_error_at: new Date(timing.nowMs()).toISOString(),
  });
  log.error(
    { sink: sink.name, records: dead.length, reason: dead[0]?.reason },
    'records that the sink does not take were set aside as dead letters',
  );
  return true;
}
