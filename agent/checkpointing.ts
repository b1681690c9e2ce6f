/** Starts the checkpoints of an agent, where its configuration has not switched them off. */
import type { OpenedLedger } from './append/open.ts';
import type { Base } from './base.ts';
import { messageOf } from '../schemas/result.ts';
import { leaveFork } from './delivering.ts';
import { startCheckpoints, type Checkpoints } from './checkpoint/checkpoints.ts';

/** Their share of the shutdown time. What they do not get done, the next start does. */
const STOP_MS = 1_500;

/** A thread of its own: trees, signed checkpoints, the anchor log. It stops when nothing more is recorded. */
export function beginCheckpoints(
  base: Pick<Base, 'config' | 'agent' | 'keys' | 'log' | 'stops' | 'fail' | 'view'>,
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
    anchors: base.config.anchors,
    log: base.log,
    onFork: (fork) => {
      leaveFork(ledger, base.view, fork).catch((error: unknown) => base.fail(messageOf(error)));
    },
    onFailed: base.fail,
  });
  base.stops.add('checkpoints', () => checkpoints.stop(STOP_MS));
  return checkpoints;
}
