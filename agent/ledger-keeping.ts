/**
 * Keeps the ledger short, where the configuration says how many days of it are enough: looks at the start
 * and every hour which segments nobody needs any more (retain/segments.ts). Whoever does not answer
 * keeps them.
 */
import { join } from 'node:path';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { REMOVAL_ACTION } from '../ledger/front.ts';
import type { PostgresqlExporterConfig } from '../schemas/exporter-config.ts';
import { messageOf } from '../schemas/result.ts';
import { createConnection } from '../store/connection.ts';
import { embeddedAddress, embeddedHome } from '../store/embedded-address.ts';
import { isHeld } from '../store/holds.ts';
import type { OpenedLedger } from './append/open.ts';
import type { Base } from './base.ts';
import { readPosition } from './checkpoint/position.ts';
import { readSources } from './checkpoint/proving.ts';
import { signedSizes } from './checkpoint/purge-proof.ts';
import type { Delivery } from './deliver/delivery.ts';
import { removeSegments, type Needs, type StreamExtent } from './retain/segments.ts';

const LOOK_MS = 3_600_000;
/** After a start, sinks and checkpoints need a moment to say how far they are. */
const FIRST_LOOK_MS = 2_000;
const DAY_MS = 86_400_000;

/** Begins to look, where there is a time and a store of record; it stops before the ledger is closed. */
export function keepLedgerShort(base: Base, ledger: OpenedLedger, delivery: Delivery): void {
  const { config, log, stops } = base;
  const { local_days: days } = config.retention;
  const store = config.exporters.find((exporter) => exporter.type === 'postgresql');
  if (days === undefined || store?.type !== 'postgresql') return;
  const keepMs = days * DAY_MS;
  let looking: Promise<void> = Promise.resolve();
  let isStopped = false;

  async function look(address: PostgresqlExporterConfig): Promise<void> {
    try {
      const removed = await removeSegments({
        dir: join(config.data_dir, 'ledger'),
        filesystem: nodeFilesystem,
        nowMs: Date.now,
        keepMs,
        needs: () => (isStopped ? Promise.reject(new Error('stopping')) : needsOf(base, delivery)),
        isAnchored: (extents) => isAnchored(base, extents),
        isHeld: (extents) => askHolds(config.data_dir, address, extents),
        record: (segment, metadata) =>
          ledger.append.recordOwn(
            REMOVAL_ACTION,
            'success',
            { type: 'segment', id: segment },
            metadata,
          ),
      });
      if (removed > 0)
        log.info({ component: 'ledger', count: removed }, 'old segments were removed');
    } catch (error) {
      // They stay, which costs space only; the next look is in an hour.
      if (!isStopped)
        log.warn({ component: 'ledger', error: messageOf(error) }, 'old segments are kept for now');
    }
  }

  const again = (): void => void (looking = looking.then(() => look(store)));
  const first = setTimeout(again, FIRST_LOOK_MS);
  const timer = setInterval(again, LOOK_MS);
  stops.add('ledger keeping', async () => {
    isStopped = true;
    clearTimeout(first);
    clearInterval(timer);
    await looking;
  });
}

/** All sinks: one that need not have everything would still be cut off from what it is at. */
async function needsOf({ config, view }: Base, delivery: Delivery): Promise<Needs> {
  const position = await readPosition(nodeFilesystem, join(config.data_dir, 'checkpoints'));
  const signed = view.checkpoints?.status()?.records ?? 0;
  // Cursors first: what lies before one of them is delivered, or a dead letter by now.
  const delivered = Math.min(...delivery.status().map(({ cursor }) => cursor));
  const oldest = await Promise.all(
    delivery.status().map(async ({ name, dead_letters: count }) => {
      const [letter] = await delivery.listDeadLetters(name, 1);
      if (letter === undefined && count > 0)
        throw new Error(`${name} does not show its dead letters`);
      return letter?.number ?? Infinity;
    }),
  );
  return {
    // Without checkpoints there is no proof of what was removed: then all of it stays.
    checkpointed: Math.min(signed, position?.next ?? 0),
    delivered,
    deadLetter: Math.min(...oldest),
  };
}

async function isAnchored({ config }: Base, extents: readonly StreamExtent[]): Promise<boolean> {
  const sources = await readSources(config.data_dir);
  if (!sources.ok) throw new Error(sources.error);
  for (const { stream, to } of extents) {
    const { anchored } = await signedSizes(sources.value, stream, config.anchors.quorum);
    if (anchored < to) return false;
  }
  return true;
}

async function askHolds(
  dataDir: string,
  { embedded, url = '', tls }: PostgresqlExporterConfig,
  extents: readonly StreamExtent[],
): Promise<boolean> {
  const connection = createConnection({
    url: embedded ? embeddedAddress(embeddedHome(dataDir), 'writer') : url,
    ...(tls === undefined ? {} : { tls }),
    applicationName: 'sealtrail holds',
  });
  try {
    return await isHeld(await connection.client(), extents);
  } finally {
    connection.drop();
  }
}
