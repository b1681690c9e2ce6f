/**
 * What delivery tests share: a ledger with events on a real disk, a sink that does what it is told,
 * time that passes by itself, and a disk that freezes: from one operation on nothing happens any
 * more, which is what a crash at that point leaves behind.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeliveryRecord, DeliveryResult, Sink, SinkPlace } from '../../agent/ports.ts';
import {
  startLoop,
  type DeliveryLoop,
  type LoopConfig,
  type LoopOptions,
} from '../../agent/deliver/loop.ts';
import type { Timing } from '../../agent/deliver/timing.ts';
import {
  nodeFilesystem,
  replaceBy,
  type Filesystem,
  type LedgerFile,
} from '../../ledger/filesystem.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { silentLog } from './append-stage.ts';
import { makeEvent } from './events.ts';
import { eventually } from './eventually.ts';
import { openTestLedger } from './ledger.ts';

/** Writes `count` events (and the genesis record before them); resolves with the number of records. */
export async function writeLedger(
  dataDir: string,
  count: number,
  options: { segmentBytes?: number; event?: (index: number) => Partial<AuditEvent> } = {},
): Promise<number> {
  for (const folder of ['cursors', 'dead-letter'])
    await mkdir(join(dataDir, folder), { recursive: true });
  const ledger = await openTestLedger(join(dataDir, 'ledger'));
  const batch = 500;
  for (let from = 0; from < count; from += batch) {
    const events = Array.from({ length: Math.min(batch, count - from) }, (_, index) =>
      makeEvent(options.event?.(from + index) ?? {}),
    );
    await ledger.commit(events);
    if (options.segmentBytes !== undefined) await ledger.cut();
  }
  const { records } = ledger.writer.position();
  await ledger.writer.close();
  return records;
}

/** Time that passes as soon as somebody waits for it; `waits` are the waits, in order. */
export function createFastTiming(
  random = (): number => 0.5,
): Timing & { readonly waits: number[] } {
  const waits: number[] = [];
  let nowMs = Date.now();
  return {
    waits,
    nowMs: () => nowMs,
    random,
    after: (ms, run) => {
      waits.push(ms);
      const timer = setImmediate(() => {
        nowMs += ms;
        run();
      });
      return () => clearImmediate(timer);
    },
  };
}

export interface ScriptedSink extends Sink {
  /** Batches as they came, by record number. */
  readonly batches: number[][];
  /** Confirmed record numbers, in order of confirmation. */
  readonly confirmed: number[];
}

/** A sink that asks for its answer; what an answer does not name counts as confirmed. */
export function createScriptedSink(
  script: (
    records: readonly DeliveryRecord[],
    call: number,
    signal: AbortSignal,
  ) => DeliveryResult | Promise<DeliveryResult>,
  options: { name?: string; place?: SinkPlace } = {},
): ScriptedSink {
  const batches: number[][] = [];
  const confirmed: number[] = [];
  return {
    name: options.name ?? 'test',
    batches,
    confirmed,
    ...(options.place === undefined ? {} : { place: options.place }),
    deliver: async (records, signal) => {
      batches.push(records.map(({ number }) => number));
      const result = await script(records, batches.length, signal);
      if (result.kind === 'delivered') {
        const open = new Set([...result.retry, ...result.poison.map(({ index }) => index)]);
        confirmed.push(...records.filter((_, at) => !open.has(at)).map(({ number }) => number));
      }
      return result;
    },
    close: () => Promise.resolve(),
  };
}

export const DELIVERED: DeliveryResult = { kind: 'delivered', retry: [], poison: [] };

/** Says that the sink took nothing. */
export const failed = (reason: string, retryAfterMs?: number): DeliveryResult => ({
  kind: 'failed',
  reason,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

/** Record numbers [from, to). */
export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

/** Where the cursor of the sink `test` stands on disk. */
export async function savedNext(dataDir: string): Promise<number> {
  const text = await readFile(join(dataDir, 'cursors', 'test.json'), 'utf8');
  return (JSON.parse(text) as { readonly next: number }).next;
}

export const RETRY = { initial_ms: 100, max_ms: 1_000, attempts_max: 0 } as const;

/** Starts a loop over the ledger of a data directory. */
export function startTestLoop(
  dataDir: string,
  durable: number,
  sink: Sink,
  over: Partial<Omit<LoopOptions, 'exporter'>> & { exporter?: Partial<LoopConfig> } = {},
): Promise<DeliveryLoop> {
  return startLoop({
    sink,
    dataDir,
    durable,
    ledgerDir: join(dataDir, 'ledger'),
    filesystem: nodeFilesystem,
    timing: createFastTiming(),
    log: silentLog,
    onChange: () => undefined,
    onReport: () => undefined,
    recordSkip: () => Promise.resolve(false),
    ...over,
    exporter: {
      name: sink.name,
      type: 'file',
      required: true,
      batch_records_max: 10,
      batch_bytes_max: 1 << 20,
      retry: RETRY,
      ...over.exporter,
    },
  });
}

/** Resolves once the loop has settled every record below `durable`. */
export async function whenDelivered(loop: DeliveryLoop, durable: number): Promise<void> {
  await eventually(() => {
    if (loop.report().cursor < durable) throw new Error(JSON.stringify(loop.report()));
  }, 2);
}

export interface Freezer {
  readonly filesystem: Filesystem;
  /** Lets an effect that is no file operation freeze as well. */
  gate<T>(effect: () => Promise<T>): Promise<T>;
  /** Effects begun so far. */
  count(): number;
  /** Resolves when the freeze has come. */
  readonly frozen: Promise<void>;
  /** Waits for what had begun before, then closes what the frozen process holds open, as its end would. */
  release(): Promise<void>;
}

/**
 * The real disk, up to effect number `at`: from there on every operation waits for ever. That one
 * itself is done (`after`), torn in half (a write), or not done at all (`before`).
 */
export function createFreezer(at: number, mode: 'before' | 'torn' | 'after'): Freezer {
  let count = 0;
  let tellFrozen: () => void = () => undefined;
  const frozen = new Promise<void>((tell) => (tellFrozen = tell));
  const forEver = new Promise<never>(() => undefined);
  const files: LedgerFile[] = [];
  const begun = new Set<Promise<unknown>>();

  async function gate<T>(effect: () => Promise<T>, torn?: () => Promise<unknown>): Promise<T> {
    const number = count++;
    if (number < at) {
      const running = effect();
      begun.add(running);
      return running.finally(() => begun.delete(running));
    }
    if (number === at) {
      if (mode === 'after') await effect();
      if (mode === 'torn') await torn?.();
      tellFrozen();
    }
    return forEver;
  }

  const keep = (file: LedgerFile): LedgerFile => {
    files.push(file);
    return file;
  };
  const wrap = (file: LedgerFile): LedgerFile => ({
    append: (bytes) =>
      gate(
        () => file.append(bytes),
        () => file.append(bytes.subarray(0, Math.floor(bytes.length / 2))),
      ),
    datasync: () => gate(() => file.datasync()),
    sync: () => gate(() => file.sync()),
    truncate: (bytes) => gate(() => file.truncate(bytes)),
    read: (position, bytes) => file.read(position, bytes),
    size: () => file.size(),
    look: () => file.look(),
    close: () => file.close(),
  });

  const steps: Parameters<typeof replaceBy>[0] = {
    create: (path) => gate(async () => wrap(keep(await nodeFilesystem.create(path)))),
    rename: (from, to) => gate(() => nodeFilesystem.rename(from, to)),
    remove: (path) => gate(() => nodeFilesystem.remove(path)),
    syncDir: (dir) => gate(() => nodeFilesystem.syncDir(dir)),
  };

  return {
    frozen,
    gate: (effect) => gate(effect),
    count: () => count,
    release: async () => {
      await Promise.allSettled(begun);
      await Promise.all(files.map((file) => file.close()));
    },
    filesystem: {
      ...nodeFilesystem,
      ...steps,
      replace: replaceBy(steps),
      makeDir: (dir) => gate(() => nodeFilesystem.makeDir(dir)),
      open: async (path) => wrap(keep(await nodeFilesystem.open(path))),
      openRead: async (path) => keep(await nodeFilesystem.openRead(path)),
    },
  };
}
