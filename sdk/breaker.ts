/**
 * The circuit breaker: when audit writes keep failing, or a failed one cannot even be kept, every action
 * becomes fail-closed, until the agent acks again.
 *
 *   closed --failures for long enough, or trip()--> open --coolDownMs--> half open --one event--> probing
 *     ^                                              ^                                             |
 *     `------------------------- an ack -------------+------------------- no ack -----------------'
 *
 * Pure: the time comes in with each call, in milliseconds on a monotonic clock.
 */
export type BreakerState = 'closed' | 'open' | 'half_open';
export type BreakerReason = 'repeated_failures' | 'spool_full' | 'spool_failed';

export interface BreakerLimits {
  /** Failures in a row that open it, once they have lasted for forMs. */
  readonly failures: number;
  readonly forMs: number;
  /** How long it stays open before one event may try. */
  readonly coolDownMs: number;
}

export interface BreakerChange {
  readonly state: 'closed' | 'open';
  /** Why it is, or was, open. */
  readonly reason: BreakerReason;
  /** Events refused since it opened. */
  readonly refused: number;
}

export interface Breaker {
  state(nowMs: number): BreakerState;
  /** `probe`: this one event may try, as if its action were fail-closed; its outcome decides. */
  admit(nowMs: number): 'yes' | 'probe' | 'no';
  /** The agent answered. */
  succeeded(): void;
  /** The agent did not take an event. */
  failed(nowMs: number): void;
  /** Opens at once: an event could be kept nowhere. */
  trip(nowMs: number, reason: BreakerReason): void;
}

type Inner =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly sinceMs: number; readonly reason: BreakerReason }
  | { readonly kind: 'probing'; readonly sinceMs: number; readonly reason: BreakerReason };

const CLOSED: Inner = { kind: 'closed' };

/** Creates a closed breaker; onChange hears when it opens and when it closes, not of failed probes. */
export function createBreaker(
  limits: BreakerLimits,
  onChange: (change: BreakerChange) => void,
): Breaker {
  let inner: Inner = CLOSED;
  let failures = 0;
  let firstMs = 0;
  let refused = 0;

  function isCool(nowMs: number): boolean {
    return inner.kind !== 'closed' && nowMs - inner.sinceMs >= limits.coolDownMs;
  }

  function open(sinceMs: number, reason: BreakerReason): void {
    const isNews = inner.kind === 'closed';
    inner = { kind: 'open', sinceMs, reason };
    if (!isNews) return;
    refused = 0;
    onChange({ state: 'open', reason, refused });
  }

  return {
    state: (nowMs) => {
      if (inner.kind === 'closed') return 'closed';
      return inner.kind === 'probing' || isCool(nowMs) ? 'half_open' : 'open';
    },
    admit(nowMs) {
      if (inner.kind === 'closed') return 'yes';
      // A probe of which nothing was heard for so long does not stand in the way of the next.
      if (isCool(nowMs)) {
        inner = { kind: 'probing', sinceMs: nowMs, reason: inner.reason };
        return 'probe';
      }
      refused += 1;
      return 'no';
    },
    succeeded() {
      failures = 0;
      if (inner.kind === 'closed') return;
      const { reason } = inner;
      inner = CLOSED;
      onChange({ state: 'closed', reason, refused });
    },
    failed(nowMs) {
      if (inner.kind === 'probing') return open(nowMs, inner.reason);
      if (inner.kind === 'open') return;
      if (failures === 0) firstMs = nowMs;
      failures += 1;
      if (failures < limits.failures || nowMs - firstMs < limits.forMs) return;
      open(nowMs, 'repeated_failures');
    },
    trip: open,
  };
}
