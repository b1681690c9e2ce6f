/**
 * The watch over the ledger's disk: measures at intervals, says once per threshold how full it is and
 * how long it lasts, and holds the figures for status and metrics. It only looks: what a full disk
 * means is up to quota.ts and the append stage.
 */
import { statfs } from 'node:fs/promises';
import { messageOf } from '../../schemas/result.ts';
import type { Logger } from '../ports.ts';
import type { DiskStatus } from '../status-ports.ts';
import {
  decideUse,
  decideWarningLevel,
  keepWindow,
  quotaBytes,
  WARNING_RATIOS,
  type DiskSample,
  type FilesystemSpace,
} from './disk-use.ts';
import type { LedgerExtent } from './quota.ts';

/** Asks the file system that a folder lies on. */
export type AskSpace = (dir: string) => Promise<FilesystemSpace>;

export interface DiskWatch {
  /** The quota in bytes at this moment; null without one. */
  quota(): number | null;
  /** As of the last measurement; null before the first. */
  status(): DiskStatus | null;
  /** Measures now, and at intervals from then on. */
  start(extent: LedgerExtent): Promise<void>;
  /** Measures once; never rejects. */
  look(): Promise<void>;
  stop(): void;
}

export interface DiskWatchOptions {
  readonly dir: string;
  readonly quota: number | string | undefined;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly askSpace?: AskSpace;
}

const INTERVAL_MS = 10_000;

/** Space as `df` counts it: what root alone may use is no space. */
const askFilesystem: AskSpace = async (dir) => {
  const { bsize, blocks, bfree, bavail } = await statfs(dir);
  return { totalBytes: bsize * (blocks - bfree + bavail), freeBytes: bsize * bavail };
};

/** Creates a watch and learns the size of the file system; the folder MUST exist. */
export async function createDiskWatch(options: DiskWatchOptions): Promise<DiskWatch> {
  const askSpace = options.askSpace ?? askFilesystem;
  let totalBytes = (await askSpace(options.dir)).totalBytes;
  let samples: readonly DiskSample[] = [];
  let level = 0;
  let extent: LedgerExtent | null = null;
  let timer: NodeJS.Timeout | null = null;
  const quota = (): number | null => quotaBytes(options.quota, totalBytes);
  const status = (): DiskStatus | null => decideUse(samples, quota());

  async function look(): Promise<void> {
    if (extent === null) return;
    try {
      const filesystem = await askSpace(options.dir);
      totalBytes = filesystem.totalBytes;
      await extent.measure();
      const sample = { atMs: options.nowMs(), ledgerBytes: extent.bytes(), filesystem };
      samples = keepWindow(samples, sample);
      warn(status());
    } catch (error) {
      options.log.warn({ error: messageOf(error) }, "the ledger's disk could not be measured");
    }
  }

  function warn(disk: DiskStatus | null): void {
    if (disk === null) return;
    const next = decideWarningLevel(level, disk.used_ratio);
    const before = level;
    level = next;
    if (next === before) return;
    const { used_ratio, bytes_left, seconds_left, bound } = disk;
    const fields = { component: 'disk', used_ratio, bytes_left, seconds_left, bound };
    if (next < before) options.log.info(fields, "the ledger's disk has more space again");
    else {
      const percent = (WARNING_RATIOS[next - 1] ?? 0) * 100;
      const say = next === WARNING_RATIOS.length ? options.log.error : options.log.warn;
      const limit = bound === 'quota' ? 'ledger.quota' : 'the file system of the ledger';
      say(fields, `${limit} is more than ${percent} % full; once it is full events are refused`);
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      void look().then(() => {
        if (timer !== null) schedule();
      });
    }, INTERVAL_MS);
    timer.unref();
  }

  return {
    quota,
    status,
    look,
    start: async (of) => {
      extent = of;
      await look();
      schedule();
    },
    stop: () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}
