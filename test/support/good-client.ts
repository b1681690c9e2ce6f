/** A well-behaved client that records all the time, to show that it does not notice what others do. */
import { performance } from 'node:perf_hooks';
import { createAudit, type Audit } from '../../sdk/index.ts';
import { until } from './agent-peer.ts';
import { VOCABULARY, type AgentProcess } from './agent-process.ts';
import type { Acked } from './outcome.ts';

export interface GoodClient {
  readonly audit: Audit;
  /** Resolves once more than so many of its events are acked. */
  reached(count: number): Promise<void>;
  /** Ends the load; resolves with all that was heard since it began. */
  stop(): Promise<Observation>;
}

export interface Observation {
  readonly acked: readonly Acked[];
  /** Milliseconds that each record() took. */
  readonly latenciesMs: readonly number[];
  /** Codes of those that were rejected. */
  readonly failed: readonly string[];
  /** Codes of those of them that may be recorded all the same. */
  readonly unknown: readonly string[];
  /** How often it had to connect again. */
  readonly reconnects: number;
}

/** Records `inFlight` events at a time until stopped. */
export async function startGoodClient(
  agent: AgentProcess,
  options: { readonly inFlight?: number; readonly timeoutMs?: number } = {},
): Promise<GoodClient> {
  const audit = createAudit({
    service: 'good-client',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
    timeoutMs: options.timeoutMs ?? 60_000,
  });
  const acked: Acked[] = [];
  const latenciesMs: number[] = [];
  const failed: string[] = [];
  const unknown: string[] = [];
  let isStopping = false;

  async function recordOne(): Promise<void> {
    const startedMs = performance.now();
    const recorded = audit.record({
      action: 'customer.read',
      outcome: 'success',
      actor: { type: 'user', id: 'u-1', name: 'Ada' },
      resource: { type: 'customer', id: 'c-1' },
    });
    await recorded.then(
      (receipt) => {
        acked.push(receipt);
        latenciesMs.push(performance.now() - startedMs);
      },
      (error: { readonly code?: string; readonly recorded?: string }) => {
        const code = error.code ?? String(error);
        failed.push(code);
        if (error.recorded === 'unknown') unknown.push(code);
      },
    );
  }

  async function recordOn(): Promise<void> {
    while (!isStopping) {
      await recordOne();
      // Leaves the turn to whoever else works in this process.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const loops = Array.from({ length: options.inFlight ?? 1 }, recordOn);

  return {
    audit,
    reached: (count) => until(() => acked.length > count, `${count} acked events`, 120_000),
    stop: async () => {
      isStopping = true;
      await Promise.all(loops);
      const { reconnects } = audit.stats();
      await audit.close();
      return { acked, latenciesMs, failed, unknown, reconnects };
    },
  };
}

/** The value below which this share of the others lies; 0 of an empty list. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
