/**
 * What becomes of an event that the agent did not take. The vocabulary decides per action: fail_closed is
 * refused, fail_open goes to the spool and counts as done. Either way it is told: to the caller, to the
 * audit_failure channel, to the alert hook. The circuit breaker turns every action fail-closed,
 * but those exempt from it.
 */
import { performance } from 'node:perf_hooks';
import { createBreaker, type Breaker, type BreakerState } from './breaker.ts';
import type { QueueEntry, SpooledReceipt } from './batch.ts';
import { runInContext } from './context.ts';
import { AuditError, AuditErrorCode } from './errors.ts';
import { createFailureChannel, type FailureChannel } from './failure-channel.ts';
import type { AuditFailure } from './failure.ts';
import { tell as tellHook } from './hook.ts';
import type { ResolvedOptions, SpoolLimits } from './options.ts';
import { createSpool, type Spool, type SpoolOutcome, type SpoolStats } from './spool.ts';

export interface FailPolicyStats {
  readonly breaker: BreakerState;
  /** record() calls that were rejected, for whatever reason. */
  readonly failures: number;
  /** Null where no spool was asked for. */
  readonly spool: SpoolStats | null;
}

export interface FailPolicies {
  /** Whether an event of this action may be sent; an error when the breaker is open. */
  admit(nowMs: number, action: string): AuditError | 'yes' | 'probe';
  /** The agent has the event. */
  acked(): void;
  /** An event or action was refused before it began; returns the error that it was given. */
  refuse(error: AuditError, event: RefusedAction | null): AuditError;
  /** An event goes on, and does not say who: the vault gave no token. */
  unresolved(error: AuditError, action: string): void;
  /** The event was queued, and not acked. Answers its caller, now or once it is spooled. */
  failed(entry: QueueEntry, error: AuditError): void;
  /** Whether an event that is not acked in time goes to the spool. */
  spools(entry: QueueEntry): boolean;
  /** The same for one that waited in vain: the agent, or the way to it, is at fault. */
  expired(entry: QueueEntry, error: AuditError): void;
  /** The same for one that was never sent, which says nothing of the agent. */
  unsent(entry: QueueEntry, error: AuditError): void;
  /** The breaker's word on an action that is about to begin: null where nothing speaks against it. */
  objection(): AuditError | null;
  stats(): FailPolicyStats;
  /** Resolves once every caller is answered. */
  whenIdle(): Promise<void>;
  close(): Promise<void>;
}

/** What may be told of an event or action that was not let through. */
export type RefusedAction = Omit<AuditFailure, 'error' | 'spooled' | 'unresolved'>;

export interface FailPolicyOptions {
  readonly service: string;
  readonly resolved: ResolvedOptions;
  readonly instance: string;
  readonly hook: ((failure: AuditFailure) => void) | undefined;
}

/** What says nothing about the event and everything about the agent, the disk or the way there. */
const OUTAGES: ReadonlySet<string> = new Set([
  AuditErrorCode.agentUnavailable,
  AuditErrorCode.timeout,
  'disk_full',
  'storage_failed',
  'shutting_down',
]);

/** A disk may be slower than what callers wait for an agent that is well. */
const SPOOL_WAIT_MS_MIN = 5_000;

/** Creates the fail policies of one Audit. */
export function createFailPolicies(options: FailPolicyOptions): FailPolicies {
  const { service, resolved, hook } = options;
  const channel = resolved.spool === null ? null : channelOf(options, resolved.spool);
  const breaker = createBreaker(resolved.breaker, (change) =>
    channel?.write({ kind: 'breaker', ...change }),
  );
  const spool = channel === null ? null : spoolOf(options, channel, breaker);
  let failures = 0;
  let open = 0;
  let idle: (() => void)[] = [];

  function tell(failure: AuditFailure, done?: () => void): void {
    if (!failure.spooled && failure.unresolved !== true) failures += 1;
    tellHook('onAuditFailure', hook, failure);
    // While the breaker is open its own note counts the refusals.
    const isCounted = failure.error.code === AuditErrorCode.circuitOpen;
    if (channel === null || isCounted) return done?.();
    channel.write({ kind: 'audit_failure', failure }, done);
  }

  function reject(entry: QueueEntry, error: AuditError): void {
    const failure = { error, ...failingOf(entry.event), spooled: false };
    runInContext(entry.context, () => tell(failure));
    entry.reject(error);
  }

  function failed(entry: QueueEntry, error: AuditError): void {
    if (!OUTAGES.has(error.code)) {
      // The agent answered: it is well, and the event is not.
      breaker.succeeded();
      return reject(entry, error);
    }
    expired(entry, error);
  }

  function spools({ event, isProbe }: QueueEntry): boolean {
    return spool !== null && event.fail_policy === 'fail_open' && !isProbe;
  }

  function expired(entry: QueueEntry, error: AuditError): void {
    breaker.failed(performance.now());
    unsent(entry, error);
  }

  function unsent(entry: QueueEntry, error: AuditError): void {
    if (spool === null || !spools(entry)) return reject(entry, error);
    open += 1;
    let kept: SpooledReceipt | null = null;
    let isAnswered = false;
    const answer = (lost: SpoolFailure): void => {
      if (isAnswered) return;
      isAnswered = true;
      clearTimeout(timer);
      if (kept === null) giveUp(entry, error, lost);
      else entry.resolve(kept);
      settled();
    };
    // A disk that hangs is one that fails: its caller has waited long enough.
    const waitMs = Math.max(resolved.timeoutMs, SPOOL_WAIT_MS_MIN);
    const timer = setTimeout(() => answer(hanging(waitMs)), waitMs);
    spool.append(entry.event, (outcome) => {
      if (!outcome.ok) return answer(outcome);
      if (isAnswered) return;
      kept = { event_id: entry.event.event_id, spooled: true, error };
      const failure = { error, ...failingOf(entry.event), spooled: true };
      runInContext(entry.context, () => tell(failure, () => answer(hanging(0))));
    });
  }

  function giveUp(entry: QueueEntry, error: AuditError, lost: SpoolFailure): void {
    breaker.trip(performance.now(), lost.reason);
    reject(entry, unkept(error, lost));
  }

  function settled(): void {
    open -= 1;
    if (open === 0) for (const resolve of idle.splice(0)) resolve();
  }

  return {
    admit(nowMs, action) {
      if (resolved.exempt.has(action)) return 'yes';
      const verdict = breaker.admit(nowMs);
      return verdict === 'no' ? circuitOpen() : verdict;
    },
    acked: () => breaker.succeeded(),
    refuse(error, event) {
      if (OUTAGES.has(error.code)) breaker.failed(performance.now());
      tell({ error, ...(event === null ? UNPREPARED : failingOf(event)), spooled: false });
      return error;
    },
    unresolved(error, action) {
      const event = { action, event_id: undefined, fail_policy: 'fail_open' as const };
      tell({ error, ...event, spooled: false, unresolved: true });
    },
    failed,
    spools,
    expired,
    unsent,
    objection() {
      const nowMs = performance.now();
      // Asked again so that the breaker counts the refusal.
      const isOpen = breaker.state(nowMs) === 'open' && breaker.admit(nowMs) === 'no';
      return isOpen ? circuitOpen() : null;
    },
    stats: () => ({
      breaker: breaker.state(performance.now()),
      failures,
      spool: spool?.stats() ?? null,
    }),
    whenIdle: () => (open === 0 ? Promise.resolve() : new Promise((done) => void idle.push(done))),
    async close() {
      await spool?.close();
      await channel?.close();
    },
  };

  function channelOf({ instance }: FailPolicyOptions, { dir }: SpoolLimits): FailureChannel {
    return createFailureChannel(dir, instance, service);
  }
}

function spoolOf(
  { service, resolved }: FailPolicyOptions,
  channel: FailureChannel,
  breaker: Breaker,
): Spool | null {
  if (resolved.spool === null) return null;
  const { dir, bytesMax } = resolved.spool;
  const { socketPath, timeoutMs } = resolved;
  return createSpool({ dir, bytesMax, service, socketPath, stallMs: timeoutMs }, channel, () =>
    breaker.succeeded(),
  );
}

/** A draft that failed its checks: what it says is not to be trusted, so nothing of it is told. */
const UNPREPARED: RefusedAction = {
  action: undefined,
  event_id: undefined,
  fail_policy: undefined,
};

function failingOf({ action, event_id, fail_policy }: RefusedAction): RefusedAction {
  return { action, event_id, fail_policy };
}

function circuitOpen(): AuditError {
  return new AuditError(
    AuditErrorCode.circuitOpen,
    'the circuit breaker is open: audit writes have failed, and every action is fail-closed',
    { hint: 'Bring the agent back; it closes by itself with the first ack. See stats().breaker.' },
  );
}

type SpoolFailure = Exclude<SpoolOutcome, { ok: true }>;

/** What is at such a disk may be kept after all, and is drained then. */
function hanging(ms: number): SpoolFailure {
  const message = `the disk of the spool has not answered within ${ms} ms`;
  return { ok: false, reason: 'spool_failed', message, mayBeKept: true };
}

/** The agent did not take it, and the spool could not keep it. */
function unkept(error: AuditError, lost: SpoolFailure): AuditError {
  return new AuditError(error.code, `${error.message}; not spooled: ${lost.message}`, {
    cause: error,
    recorded: lost.mayBeKept === true ? 'unknown' : error.recorded,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
