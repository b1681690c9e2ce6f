/**
 * Work on the keys of an agent that is stopped: its directory is taken as the agent takes it, and its ledger and its
 * checkpoints are opened as the agent opens them. No receiver, no sink.
 */
import { join } from 'node:path';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import type { Config } from '../schemas/config.ts';
import { err, type Result } from '../schemas/result.ts';
import { openLedger } from './append/open.ts';
import { beginCheckpoints, createKeyPorts } from './checkpointing.ts';
import { claimDataDir } from './claiming.ts';
import { rebaseCursors } from './deliver/rebase.ts';
import type { KeyPorts } from './key-ports.ts';
import type { KeyRing } from './key-ring.ts';
import type { Logger, Meter } from './ports.ts';
import { createStatus } from './status.ts';
import { createStops, type Stops } from './stops.ts';
import { gatherWitnesses } from './witnesses.ts';

const NO_METER: Meter = {
  acks: () => undefined,
  nacks: () => undefined,
  commit: () => undefined,
  producerGap: () => undefined,
  connection: () => undefined,
};

/** Works on the keys alone; an error says why the directory cannot be taken. */
export function workOnKeys<T>(
  config: Config,
  log: Logger,
  work: (ring: KeyRing) => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  return within(log, async (stops, fail) => {
    const claimed = await claimDataDir(config, log, stops, fail);
    return claimed.ok ? work(claimed.value.ring) : claimed;
  });
}

/** Works on the keys with the ledger and the checkpoints open; an error says why they cannot be. */
export function workOffline<T>(
  config: Config,
  log: Logger,
  work: (ring: KeyRing, ports: KeyPorts) => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  return within(log, async (stops, fail) => {
    const claimed = await claimDataDir(config, log, stops, fail);
    if (!claimed.ok) return claimed;
    const { agent, ring } = claimed.value;
    const view = createStatus(config, () => ({ acks_total: 0, nacks_total: {} }));
    const ledger = await openLedger({
      dir: join(config.data_dir, 'ledger'),
      config: config.ledger,
      witnesses: await gatherWitnesses(config, log),
      agent,
      meter: NO_METER,
      log,
      nowMs: Date.now,
      onDurable: (records) => view.checkpoints?.notifyDurable(records),
      onFailed: fail,
    });
    if (!ledger.ok) return ledger;
    stops.add('ledger', () => ledger.value.close());
    if (ledger.value.rollback !== null) {
      const sinks = config.exporters.map(({ name }) => name);
      const { data_dir: dataDir } = config;
      await rebaseCursors({ ...ledger.value, dataDir, sinks, filesystem: nodeFilesystem, log });
    }
    const base = { config, agent, ring, log, stops, fail, view };
    view.checkpoints = beginCheckpoints(base, ledger.value);
    return work(ring, createKeyPorts(base, ledger.value));
  });
}

async function within<T>(
  log: Logger,
  run: (stops: Stops, fail: (reason: string) => void) => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  const stops = createStops(log);
  try {
    return await run(stops, (reason) => log.error({}, reason));
  } catch (error) {
    if (error instanceof Error && 'syscall' in error)
      return err(`cannot use the data directory: ${error.message}`);
    throw error;
  } finally {
    await stops.run();
  }
}
