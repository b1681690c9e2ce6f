/**
 * Copies the newest signed checkpoint of each stream into the store of record, for auditors who have the store alone. It
 * stands beside the flow: once an anchor interval it reads what the journal has grown by, and what fails is tried again
 * the next time.
 */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../schemas/result.ts';
import { memberOf, readJson } from '../schemas/untrusted-json.ts';
import type { PostgresqlExporterConfig } from '../schemas/exporter-config.ts';
import { insertCheckpoints, type StreamCheckpoint } from '../store/checkpoints.ts';
import { createConnection, type Connection } from '../store/connection.ts';
import { embeddedAddress, embeddedHome } from '../store/embedded-address.ts';
import type { Base } from './base.ts';

const STATEMENT_TIMEOUT_MS = 10_000;
/** Read at once. */
const CHUNK_BYTES = 1 << 20;

/** Begins, for each PostgreSQL that records go to. */
export function copyCheckpoints({
  config,
  log,
  stops,
}: Pick<Base, 'config' | 'log' | 'stops'>): void {
  const { checkpoints, exporters, data_dir: dataDir } = config;
  if (!checkpoints.enabled) return;
  for (const exporter of exporters) {
    if (exporter.type !== 'postgresql') continue;
    const copier = createCopier(
      join(dataDir, 'checkpoints', 'journal.ndjson'),
      openConnection(exporter, dataDir),
    );
    let isFailing = false;
    const turn = async (): Promise<void> => {
      try {
        await copier.copy();
        isFailing = false;
      } catch (error) {
        if (!isFailing)
          log.warn(
            { component: 'checkpoint', sink: exporter.name, error: messageOf(error) },
            'signed checkpoints cannot be copied into the store; it is tried again',
          );
        isFailing = true;
      }
    };
    let running: Promise<void> = Promise.resolve();
    const timer = setInterval(() => {
      running = running.then(turn);
    }, checkpoints.anchor_interval_ms);
    timer.unref();
    stops.add('checkpoint copies', () => {
      clearInterval(timer);
      copier.close();
      return running;
    });
  }
}

export interface Copier {
  /** Copies what was signed since. Rejects with what disk or database has against it. */
  copy(): Promise<void>;
  close(): void;
}

/** Creates a copier of a journal; it connects when there is something to copy. */
export function createCopier(journal: string, connection: Connection): Copier {
  /** Newest of each stream that is not in the store. */
  const due = new Map<string, StreamCheckpoint>();
  let at = 0;
  let inode = 0;

  async function follow(): Promise<void> {
    let size: number;
    try {
      const { ino, size: bytes } = await stat(journal);
      // It was begun anew.
      if (ino !== inode || bytes < at) at = 0;
      [inode, size] = [ino, bytes];
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      throw error;
    }
    if (size === at) return;
    const file = await open(journal);
    try {
      let rest = Buffer.alloc(0);
      for (let from = at; from < size;) {
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - from));
        const { bytesRead } = await file.read(chunk, 0, chunk.length, from);
        if (bytesRead === 0) break;
        from += bytesRead;
        const text = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
        const end = text.lastIndexOf(0x0a) + 1;
        for (const line of text.toString('utf8', 0, end).split('\n')) take(line);
        rest = text.subarray(end);
        at = from - rest.length;
      }
    } finally {
      await file.close();
    }
  }

  function take(line: string): void {
    const note = line === '' ? null : memberOf(readJson(line), 'note');
    if (typeof note !== 'string') return;
    const [stream = '', size = ''] = note.split('\n', 2);
    // Anchor logs have shorter names: sealtrail/<agent>/<incarnation>.
    if (stream.split('/').length <= 3 || !/^\d{1,18}$/.test(size)) return;
    due.set(stream, { stream, size: BigInt(size), note });
  }

  return {
    copy: async () => {
      await follow();
      if (due.size === 0) return;
      try {
        const there = await insertCheckpoints(await connection.client(), [...due.values()]);
        for (const stream of there) due.delete(stream);
      } catch (error) {
        connection.drop();
        throw error;
      }
    },
    close: () => connection.drop(),
  };
}

function openConnection(
  { embedded, url, tls }: PostgresqlExporterConfig,
  dataDir: string,
): Connection {
  return createConnection({
    url: embedded ? embeddedAddress(embeddedHome(dataDir), 'writer') : (url ?? ''),
    ...(tls === undefined || embedded ? {} : { tls }),
    timeoutMs: STATEMENT_TIMEOUT_MS,
    applicationName: 'sealtrail checkpoints',
  });
}
