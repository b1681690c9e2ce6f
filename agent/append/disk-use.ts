/**
 * How full the ledger's disk is, how long it lasts at the present rate, and when that is worth a
 * warning. Pure: samples in, verdicts out; disk-watch.ts takes the samples. The bound is whichever is
 * met first: ledger.quota, or the end of the file system, which others fill as well.
 */
import type { DiskStatus } from '../status-ports.ts';

/** What was measured at one moment. */
export interface DiskSample {
  readonly atMs: number;
  /** Everything in the ledger's folder. */
  readonly ledgerBytes: number;
  readonly filesystem: FilesystemSpace;
}

export interface FilesystemSpace {
  readonly totalBytes: number;
  /** What this process may still use. */
  readonly freeBytes: number;
}

/** Ratios at which somebody is told, ascending. */
export const WARNING_RATIOS: readonly number[] = [0.7, 0.85, 0.95];
/** A warning is over once the ratio is this far below it: no storm of them around a threshold. */
const HYSTERESIS = 0.03;
/** Samples of this long make up the present rate. */
export const GROWTH_WINDOW_MS: number = 10 * 60_000;

/** The quota in bytes: as given, or as a share of the file system; null where there is none. */
export function quotaBytes(quota: number | string | undefined, totalBytes: number): number | null {
  if (quota === undefined) return null;
  if (typeof quota === 'number') return quota;
  if (!quota.endsWith('%')) return Number(quota);
  return Math.floor((totalBytes * Number(quota.slice(0, -1))) / 100);
}

/** Samples within the window, ascending, with the one that begins it. */
export function keepWindow(
  samples: readonly DiskSample[],
  next: DiskSample,
  windowMs: number = GROWTH_WINDOW_MS,
): readonly DiskSample[] {
  // A clock that was set back would make a window without an end.
  const sane = samples.filter(({ atMs }) => atMs < next.atMs);
  return [...sane.filter(({ atMs }) => next.atMs - atMs <= windowMs), next];
}

/** The state of the disk after these samples; the last one is the present. */
export function decideUse(samples: readonly DiskSample[], quota: number | null): DiskStatus | null {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return null;
  const { totalBytes, freeBytes } = last.filesystem;
  const filesystemRatio = totalBytes === 0 ? 0 : 1 - freeBytes / totalBytes;
  const quotaRatio = quota === null ? 0 : last.ledgerBytes / quota;
  const quotaLeft = quota === null ? Infinity : Math.max(0, quota - last.ledgerBytes);
  const seconds = (last.atMs - first.atMs) / 1000;
  const grown = last.ledgerBytes - first.ledgerBytes;
  // What else lies on the file system (database, other programs) takes space as well.
  const taken = Math.max(grown, first.filesystem.freeBytes - freeBytes);
  const left = Math.min(
    secondsUntil(quotaLeft, grown, seconds),
    secondsUntil(freeBytes, taken, seconds),
  );
  return {
    used_ratio: Math.min(1, Math.max(quotaRatio, filesystemRatio)),
    bound: quotaRatio >= filesystemRatio && quota !== null ? 'quota' : 'filesystem',
    ledger_bytes: last.ledgerBytes,
    quota_bytes: quota,
    filesystem_bytes: totalBytes,
    filesystem_free_bytes: freeBytes,
    bytes_left: Math.min(quotaLeft, freeBytes),
    bytes_per_second: seconds === 0 ? 0 : Math.max(0, grown / seconds),
    seconds_left: Number.isFinite(left) ? left : null,
  };
}

function secondsUntil(bytesLeft: number, bytesTaken: number, seconds: number): number {
  if (bytesLeft === 0) return 0;
  return bytesTaken <= 0 || seconds === 0 ? Infinity : bytesLeft / (bytesTaken / seconds);
}

/** Number of thresholds that count as passed, where `before` were. It falls only past the hysteresis. */
export function decideWarningLevel(before: number, ratio: number): number {
  const reached = WARNING_RATIOS.filter((threshold) => ratio >= threshold).length;
  const held = WARNING_RATIOS.slice(0, before).filter(
    (threshold) => ratio > threshold - HYSTERESIS,
  ).length;
  return Math.max(reached, held);
}
