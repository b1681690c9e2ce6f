/** Starts the checkpoints of an agent, where its configuration has not switched them off. */
import { join } from 'node:path';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import type { OpenedLedger } from './append/open.ts';
import type { Base } from './base.ts';
import { messageOf } from '../schemas/result.ts';
import { leaveFork } from './delivering.ts';
import { startCheckpoints, type Checkpoints } from './checkpoint/checkpoints.ts';
import { readJournal } from './checkpoint/journal.ts';
import type { KeyPorts } from './key-ports.ts';

/** How long a rotation waits for both keys to have signed. */
const SIGN_ALL_MS = 60_000;
/** Their share of the shutdown time. What they do not get done, the next start does. */
const STOP_MS = 1_500;

/** A thread of its own: trees, signed checkpoints, the anchor log. It stops when nothing more is recorded. */
export function beginCheckpoints(
  base: Pick<Base, 'config' | 'agent' | 'ring' | 'log' | 'stops' | 'fail' | 'view'>,
  ledger: OpenedLedger,
): Checkpoints | null {
  const { enabled, ...settings } = base.config.checkpoints;
  if (!enabled) return null;
  const checkpoints = startCheckpoints({
    dataDir: base.config.data_dir,
    agent: base.agent.name,
    incarnation: ledger.incarnation,
    keys: base.ring.signing(),
    vkeys: base.ring.vkeys(),
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

/** Completes a rotation that a crash has cut off, in the background: both keys sign until then. */
export function completeRotation({ ring, log }: Pick<Base, 'ring' | 'log'>, ports: KeyPorts): void {
  if (!ring.isInterrupted()) return;
  void ring.rotate(ports).then((done) => {
    if (done.ok) log.info({}, 'the rotation of the signing key that was cut off is complete');
    else log.error({ error: done.error }, 'the rotation of the signing key is still not complete');
  });
}

/** Through these the key ring reaches ledger and checkpoints. */
export function createKeyPorts(
  { config, view }: Pick<Base, 'config' | 'view'>,
  { append }: OpenedLedger,
): KeyPorts {
  return {
    record: (action, resource, metadata) => append.recordOwn(action, 'success', resource, metadata),
    signWith: (keys) => view.checkpoints?.signWith(keys),
    signAll: async () => {
      if (view.checkpoints != null) return view.checkpoints.signAll(SIGN_ALL_MS);
      // Switched off: what was signed before is all there is.
      const journal = await readJournal(nodeFilesystem, join(config.data_dir, 'checkpoints'));
      if (!journal.ok) throw new Error(journal.error);
      return new Map([...journal.value].map(([origin, { size }]) => [origin, size]));
    },
  };
}
