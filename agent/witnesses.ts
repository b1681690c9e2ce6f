/**
 * Gathers what is known of the ledger outside of it, before it is opened: the head file, the cursors
 * of sinks, the store of record where it is another host's, and the checkpoints that were signed. None of them is needed to start: one
 * that does not answer in time is said in the log, and the agent goes on without it.
 */
import { join } from 'node:path';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import type { Config } from '../schemas/config.ts';
import type { PostgresqlExporterConfig } from '../schemas/exporter-config.ts';
import type { Witness } from './append/continuity.ts';
import { readHeadFile } from './append/head-file.ts';
import { readJournal } from './checkpoint/journal.ts';
import { cursorPath, loadCursor } from './deliver/cursor.ts';
import type { Logger } from './ports.ts';

/** A store that hangs costs a start no more than this. One that is only slow is worth it: unasked, an older copy goes on until it meets a fork. */
const STORE_TIMEOUT_MS = 5_000;

/** Asks all of them at once. */
export async function gatherWitnesses(config: Config, log: Logger): Promise<readonly Witness[]> {
  const asked = [
    askHeadFile(config, log),
    ...config.exporters.map(({ name }) => askCursor(config.data_dir, name)),
    ...config.exporters.flatMap((exporter) =>
      // The embedded server lies in the data directory, and is put back together with it.
      exporter.type === 'postgresql' && !exporter.embedded
        ? [askStore(exporter, config.agent.name, log)]
        : [],
    ),
    askJournal(config.data_dir),
  ];
  return (await Promise.all(asked)).filter((witness) => witness !== null);
}

async function askHeadFile({ ledger }: Config, log: Logger): Promise<Witness | null> {
  if (ledger.head_file === undefined) return null;
  const read = await readHeadFile(nodeFilesystem, ledger.head_file);
  if (read.ok) return read.value;
  log.error({ reason: read.error }, 'the head file says nothing: a rollback may go unnoticed');
  return null;
}

async function askCursor(dataDir: string, sink: string): Promise<Witness | null> {
  const read = await loadCursor(nodeFilesystem, cursorPath(dataDir, sink));
  // A damaged one stops its sink, which says so.
  if (!read.ok || read.value === null) return null;
  return {
    source: `the cursor of ${sink}`,
    heads: [],
    records: read.value.next,
    incarnation: null,
  };
}

/** What was signed was durable: a ledger that ends before it was cut, or put back. */
async function askJournal(dataDir: string): Promise<Witness | null> {
  const read = await readJournal(nodeFilesystem, join(dataDir, 'checkpoints'));
  // A damaged one stops the checkpoints, which say so.
  if (!read.ok) return null;
  const heads = [...read.value.values()].flatMap(({ origin, size, head }) =>
    head === null ? [] : [{ stream: origin, next_seq: Number(size), head_hash: head }],
  );
  return { source: 'the signed checkpoints', heads, records: 0, incarnation: null };
}

async function askStore(
  { name, url = '', tls }: PostgresqlExporterConfig,
  agent: string,
  log: Logger,
): Promise<Witness | null> {
  const timeoutMs = STORE_TIMEOUT_MS;
  const address = { url, timeoutMs, ...(tls === undefined ? {} : { tls }) };
  // Loaded where there is a server to ask: a start without one does not wait for the driver.
  const { readStreamHeads } = await import('../store/heads.ts');
  const read = await readStreamHeads(address, `sealtrail/${agent}/`);
  if (read.ok) return { source: name, heads: read.value, records: 0, incarnation: null };
  log.warn({ sink: name }, 'the store of record does not say how far it is; starting without it');
  return null;
}
