/** Starts the checkpoints of an agent, where its configuration has not switched them off. */
import type { Config } from '../schemas/config.ts';
import type { OpenedLedger } from './append/open.ts';
import { startCheckpoints, type Checkpoints } from './checkpoint/checkpoints.ts';
import type { AgentKeys } from './keys.ts';
import type { Logger } from './ports.ts';
import type { Stops } from './stops.ts';

/** Their share of the shutdown time. What they do not get done, the next start does. */
const STOP_MS = 1_500;

/** A thread of its own: trees, signed checkpoints, the anchor log. It stops when nothing more is recorded. */
export function beginCheckpoints(
  base: {
    readonly config: Config;
    readonly agent: { readonly name: string };
    readonly keys: AgentKeys;
    readonly log: Logger;
    readonly stops: Stops;
    readonly fail: (reason: string) => void;
  },
  ledger: OpenedLedger,
): Checkpoints | null {
  const { enabled, ...settings } = base.config.checkpoints;
  if (!enabled) return null;
  const checkpoints = startCheckpoints({
    dataDir: base.config.data_dir,
    agent: base.agent.name,
    incarnation: ledger.incarnation,
    signingKey: base.keys.signing,
    settings,
    durable: ledger.append.status().records,
    log: base.log,
    onFailed: base.fail,
  });
  base.stops.add('checkpoints', () => checkpoints.stop(STOP_MS));
  return checkpoints;
}
