/** What every stage of the agent is built from. */
import type { AgentOptions } from './agent-interface.ts';
import type { AgentIdentity } from './append/agent-event.ts';
import type { KeyRing } from './key-ring.ts';
import type { AgentKeys } from './keys.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Traces } from './observe/traces.ts';
import type { StatusView } from './status.ts';
import type { Stops } from './stops.ts';

export interface Base extends AgentOptions {
  readonly agent: AgentIdentity;
  readonly keys: AgentKeys;
  readonly ring: KeyRing;
  readonly stops: Stops;
  readonly fail: (reason: string) => void;
  /** Settles if another process may own the data directory now. */
  readonly lockLost: Promise<string>;
  readonly metrics: Metrics;
  readonly traces: Traces;
  readonly view: StatusView;
}

/** The agent itself, as the resource of its own events. */
export function resourceOf({ agent }: Base): { readonly type: string; readonly id: string } {
  return { type: 'agent', id: agent.name };
}
