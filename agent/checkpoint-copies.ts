/**
 * Copies the newest signed checkpoint of each stream into the store of record, for auditors who have the store alone. It
 * stands beside the flow: once an anchor interval it reads what the journal has grown by, and what fails is tried again
 * the next time. There is little to read at a start, however old the agent is: each start begins the journal anew with the
 * newest checkpoint of each log, and so does whoever writes it when it has doubled (checkpoint/journal.ts).
 */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isChainHash } from '../schemas/brand.ts';
import type { Config } from '../schemas/config.ts';
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

/** Begins, for each PostgreSQL that records go to. What comes back takes up a configuration that was read again. */
export function copyCheckpoints({
  config,
  log,
  stops,
}: Pick<Base, 'config' | 'log' | 'stops'>): (config: Config) => void {
  const { checkpoints, data_dir: dataDir } = config;
  const journal = join(dataDir, 'checkpoints', 'journal.ndjson');
  const targets = new Map<string, Target>();
  let isStopped = false;

  function begin(exporter: PostgresqlExporterConfig): Target {
    const { name: sink } = exporter;
    const copier = createCopier(journal, openConnection(exporter, dataDir));
    let isFailing = false;
    const turn = async (): Promise<void> => {
      try {
        await copier.copy();
        isFailing = false;
      } catch (error) {
        // Of a store that is not copied to any more nobody needs to hear.
        if (!isFailing && targets.get(sink) === target && !isStopped)
          log.warn({ component: 'checkpoint', sink, error: messageOf(error) }, FAILING);
        isFailing = true;
      }
    };
    let running: Promise<void> | null = null;
    const timer = setInterval(() => {
      // A store that does not answer takes longer than the interval: turns that wait for it would pile up.
      running ??= turn().finally(() => (running = null));
    }, checkpoints.anchor_interval_ms);
    timer.unref();
    const target: Target = {
      exporter,
      end: async () => {
        clearInterval(timer);
        copier.close();
        await running;
      },
    };
    return target;
  }

  function change({ exporters }: Pick<Config, 'exporters'>): void {
    if (!checkpoints.enabled || isStopped) return;
    const wanted = exporters.filter((exporter) => exporter.type === 'postgresql');
    for (const [name, { exporter, end }] of [...targets]) {
      if (wanted.some((one) => isDeepStrictEqual(one, exporter))) continue;
      targets.delete(name);
      // What it was doing fails, and is told to nobody.
      void end();
    }
    for (const exporter of wanted)
      if (!targets.has(exporter.name)) targets.set(exporter.name, begin(exporter));
  }

  change(config);
  stops.add('checkpoint copies', async () => {
    isStopped = true;
    await Promise.all([...targets.values()].map(({ end }) => end()));
  });
  return change;
}

const FAILING = 'signed checkpoints cannot be copied into the store; it is tried again';

interface Target {
  readonly exporter: PostgresqlExporterConfig;
  /** Resolves when nothing more is copied. */
  end(): Promise<void>;
}

export interface Copier {
  /** Copies what was signed since. Rejects with what disk or database has against it. */
  copy(): Promise<void>;
  /** Nothing is copied after this. */
  close(): void;
}

/** Creates a copier of a journal; it connects when there is something to copy. */
export function createCopier(journal: string, connection: Connection): Copier {
  /** Newest of each stream that is not in the store. */
  const due = new Map<string, StreamCheckpoint>();
  let at = 0;
  let file = '';
  let isClosed = false;

  async function follow(): Promise<void> {
    let size: number;
    try {
      const { ino, birthtimeMs, size: bytes } = await stat(journal);
      // Begun anew it is another file, also where it has got the number of one that is gone.
      const found = `${ino} ${birthtimeMs}`;
      if (found !== file || bytes < at) at = 0;
      [file, size] = [found, bytes];
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      throw error;
    }
    if (size === at) return;
    const handle = await open(journal);
    try {
      let rest = Buffer.alloc(0);
      for (let from = at; from < size;) {
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - from));
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, from);
        if (bytesRead === 0) break;
        from += bytesRead;
        const text = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
        const end = text.lastIndexOf(0x0a) + 1;
        for (const line of text.toString('utf8', 0, end).split('\n')) take(line);
        rest = text.subarray(end);
        at = from - rest.length;
      }
    } finally {
      await handle.close();
    }
  }

  function take(line: string): void {
    const said = line === '' ? null : readJson(line);
    const [note, head] = [memberOf(said, 'note'), memberOf(said, 'head')];
    if (typeof note !== 'string' || !isChainHash(head)) return;
    const [stream = '', size = ''] = note.split('\n', 2);
    // Anchor logs have shorter names: sealtrail/<agent>/<incarnation>.
    if (stream.split('/').length <= 3 || !/^\d{1,18}$/.test(size)) return;
    due.set(stream, { stream, size: BigInt(size), head, note });
  }

  return {
    copy: async () => {
      await follow();
      // Closed while it read, it would connect again, and nobody would end that.
      if (due.size === 0 || isClosed) return;
      try {
        const there = await insertCheckpoints(await connection.client(), [...due.values()]);
        for (const stream of there) due.delete(stream);
      } catch (error) {
        connection.drop();
        throw error;
      }
    },
    close: () => {
      isClosed = true;
      connection.drop();
    },
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
