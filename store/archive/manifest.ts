/**
 * The manifest: what one batch put into the archive. It names the segments and puts their lines back into
 * the ledger's order, and it carries the checkpoints that cover them. Pure.
 *
 *   {"v":"sealtrail/archive/1","from":0,"to":40,
 *    "segments":[{"key":…,"records":30,"retain_until":…,"streams":[{"stream":…,"tenant":…,"from":0,"to":30}]}],
 *    "order":[[0,10],[1,10],[0,20]],       ten lines of segment 0, ten of segment 1, twenty of segment 0
 *    "checkpoints":["<signed note>"]}
 */
import { readJson } from '../../schemas/untrusted-json.ts';

export const ARCHIVE_VERSION = 'sealtrail/archive/1';

/** Numbers [from, to) of a stream. */
export interface StreamRange {
  readonly stream: string;
  readonly tenant: string;
  readonly from: number;
  readonly to: number;
}

export interface ManifestSegment {
  /** Without the archive's prefix. */
  readonly key: string;
  readonly records: number;
  /** ISO 8601. */
  readonly retain_until: string;
  /** When the agent received the first and the last record. */
  readonly received: readonly [string, string];
  readonly streams: readonly StreamRange[];
}

export interface Manifest {
  readonly v: typeof ARCHIVE_VERSION;
  /** Records [from, to) of the ledger. */
  readonly from: number;
  readonly to: number;
  readonly segments: readonly ManifestSegment[];
  readonly order: readonly (readonly [segment: number, count: number])[];
  readonly checkpoints: readonly string[];
}

/** Its bytes before compression. */
export function formatManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest)}\n`);
}

/** Reads one whose digest was right; null for anything else, since somebody may have made it. */
export function parseManifest(text: string): Manifest | null {
  const value = readJson(text) as Partial<Manifest> | null;
  if (value === null || typeof value !== 'object' || value.v !== ARCHIVE_VERSION) return null;
  const { from, to, segments, order, checkpoints } = value;
  if (!isCount(from) || !isCount(to) || to < from) return null;
  if (!isListOf(checkpoints, isText) || !isListOf(segments, isSegment)) return null;
  const isRun = (run: unknown): boolean =>
    Array.isArray(run) &&
    run.length === 2 &&
    run.every(isCount) &&
    Number(run[0]) < segments.length;
  if (!isListOf(order, isRun)) return null;
  const manifest = value as Manifest;
  return isWhole(manifest) ? manifest : null;
}

/** Whether it places every record that it claims, once: one that hides some must not stand for a batch. */
function isWhole({ from, to, segments, order }: Manifest): boolean {
  const placed = segments.map(() => 0);
  for (const [at, count] of order) placed[at] = (placed[at] ?? 0) + count;
  const total = placed.reduce((sum, count) => sum + count, 0);
  return total === to - from && segments.every(({ records }, at) => records === placed[at]);
}

function isSegment(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { key, records, retain_until, received, streams } = value as Partial<ManifestSegment>;
  return (
    [key, retain_until].every(isText) &&
    isCount(records) &&
    isListOf(received, isText) &&
    isListOf(streams, isRange)
  );
}

function isRange(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { stream, tenant, from, to } = value as Partial<StreamRange>;
  return [stream, tenant].every(isText) && isCount(from) && isCount(to);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isListOf<T>(
  value: readonly T[] | undefined,
  holds: (one: unknown) => boolean,
): value is readonly T[] {
  return Array.isArray(value) && value.every(holds);
}
