/** Starts delivery: a thread of its own, a loop and a cursor per sink, the store of record and the SIEM. */
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { OpenedLedger } from './append/open.ts';
import type { Base } from './base.ts';
import { startDelivery, type Delivery } from './deliver/delivery.ts';
import { rebaseCursors } from './deliver/rebase.ts';
import type { Fork } from './ports.ts';
import type { StatusView } from './status.ts';
import { VERSION } from './version.ts';

/** After an error nothing of it is left running. `reserveMs`: of the shutdown time, what is kept for other stages. */
export async function deliver(
  base: Base,
  ledger: OpenedLedger,
  reserveMs: number,
): Promise<Result<Delivery, string>> {
  const { config, metrics, traces, view, log } = base;
  const { data_dir: dataDir, exporters } = config;
  // After the record of the rollback: a crash in between leaves sinks that stop and say why.
  if (ledger.rollback !== null) {
    const sinks = exporters.map(({ name }) => name);
    await rebaseCursors({ ...ledger, dataDir, sinks, filesystem: nodeFilesystem, log });
  }
  const delivery = await startDelivery({
    dataDir,
    exporters,
    vocabulary: base.vocabulary,
    agent: { name: base.agent.name, version: VERSION },
    durable: ledger.append.status().records,
    log,
    onReport: (report) => {
      metrics.onDelivery(report);
      traces.onDelivery(report);
    },
    onFork: (fork) => {
      leaveFork(ledger, view, fork).catch((error: unknown) => base.fail(messageOf(error)));
    },
    recordSkip: ({ sink, ...skipped }) =>
      ledger.append.recordOwn('delivery.skipped', 'failure', { type: 'sink', id: sink }, skipped),
    onWorkerFailed: base.fail,
  });
  if (!delivery.ok) return err(delivery.error.message);
  view.delivery = delivery.value;
  const deadlineMs = config.service.shutdown_timeout_ms - reserveMs;
  base.stops.add('delivery', async () => {
    await delivery.value.drain(Math.max(DRAIN_MS_MIN, deadlineMs));
    await delivery.value.stop();
  });
  return ok(delivery.value);
}

const DRAIN_MS_MIN = 250;

/** Another agent lives on a copy of this ledger: what it has filled is left to it. */
export async function leaveFork(ledger: OpenedLedger, view: StatusView, fork: Fork): Promise<void> {
  view.rollback = (await ledger.leaveFork(fork)) ?? view.rollback;
}
