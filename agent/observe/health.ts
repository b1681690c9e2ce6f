/**
 * Health rules: pure, from the status alone. Live: is a restart any use? Ready: can an event be
 * acked now? Each verdict lists its checks, so that whoever is woken up by it need not guess.
 */
import type { AgentStatus, AppendStatus } from '../status-ports.ts';

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was found; for a failed check, what follows from it. */
  readonly detail: string;
}

/** A verdict: `ok` when every check is. */
export interface Health {
  readonly ok: boolean;
  readonly checks: readonly HealthCheck[];
}

const APPEND_DETAIL: Readonly<Record<AppendStatus['state'], string>> = {
  ready: 'events are taken',
  disk_full: 'the disk is full: events are refused until space returns',
  failed: 'the ledger cannot be written: the agent ends and wants a restart',
  stopped: 'the agent is starting or stopping',
};

/**
 * Live unless the ledger has failed for good. A full disk is no reason to restart, and neither is a
 * sink that is down: both mend themselves, and a restart would only interrupt that.
 */
export function decideLive({ append }: AgentStatus): Health {
  return verdict([check('ledger', append.state !== 'failed', APPEND_DETAIL[append.state])]);
}

/**
 * Ready while an event that is sent now is acked at once, and will be delivered without anybody's
 * help. A sink that is retrying leaves the agent ready: events are acked into the ledger and arrive
 * later, and an application that stopped because its SIEM is down would be an outage made by the
 * audit log. That is an alert on lag, not a matter of readiness. A required sink that has stopped
 * will not resume by itself: nothing reaches the store of record any more.
 */
export function decideReady({ append, sinks }: AgentStatus): Health {
  const { queue_events: queued, queue_events_max: max } = append;
  return verdict([
    check('append', append.state === 'ready', APPEND_DETAIL[append.state]),
    check('queue', queued < max, `${queued} of ${max} events wait`),
    ...sinks
      .filter(({ required }) => required)
      .map(({ name, state, lag_records: lag }) =>
        check(`sink ${name}`, state !== 'stopped', `${state}, ${lag} records behind`),
      ),
  ]);
}

function check(name: string, ok: boolean, detail: string): HealthCheck {
  return { name, ok, detail };
}

function verdict(checks: readonly HealthCheck[]): Health {
  return { ok: checks.every(({ ok }) => ok), checks };
}
