/**
 * The quota: a writer that answers `disk_full` once the ledger has reached its bound, as the disk
 * itself does. The append stage cannot tell the two apart, so refusal, record and recovery are the
 * same. Whatever makes the folder smaller (segments moved away, retention) is seen at the next
 * measurement; nothing has to be told.
 *
 * The reserve counts as used while it is there, and its room is kept for it while it is not: only
 * what the agent has to say about the full disk goes there.
 */
import { join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { RESERVE_NAME, segmentName } from '../../ledger/segment.ts';
import type { LedgerWriter } from '../../ledger/writer.ts';
import { codeOf, err } from '../../schemas/result.ts';

export interface LedgerExtent {
  /** Everything in the folder, up to the last commit. */
  bytes(): number;
  /** Looks at the folder again; what others put there or took away counts from then on. */
  measure(): Promise<void>;
}

export interface LimitedWriter extends LedgerWriter, LedgerExtent {}

export interface QuotaOptions {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly reserveBytes: number;
  /** Space that must be there, beside the reserve, before a full ledger takes events again. */
  readonly roomBytes: number;
  /** The bound at this moment, in bytes; null: none but the disk's. */
  readonly quota: () => number | null;
}

/** Puts the quota before a writer. */
export function limitWriter(writer: LedgerWriter, options: QuotaOptions): LimitedWriter {
  const { dir, filesystem, reserveBytes } = options;
  const path = (name: string): string => join(dir, name);
  /** Files that do not change any more, by name. */
  let sizes = new Map<string, number>();
  /** All files but the segment in use. */
  let otherBytes = 0;
  let segment = writer.position().segment;
  let segmentBytes = writer.position().segmentBytes;
  let cuts = 0;
  let hasReserve = false;
  /** The stage has given up the reserve, to say that the disk is full. */
  let isReleased = false;

  /** A segment that is no longer written joins the others. */
  function follow(): void {
    const position = writer.position();
    if (position.segment !== segment) {
      otherBytes += segmentBytes;
      segment = position.segment;
      cuts += 1;
    }
    segmentBytes = position.segmentBytes;
  }

  async function sizeOf(name: string): Promise<number> {
    const known = sizes.get(name);
    if (known !== undefined) return known;
    try {
      const file = await filesystem.openRead(path(name));
      try {
        return await file.size();
      } finally {
        await file.close();
      }
    } catch (error) {
      // Gone since the folder was listed, or one that is being replaced.
      if (codeOf(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  async function measure(): Promise<void> {
    const cutsBefore = cuts;
    const current = segmentName(segment);
    const found = new Map<string, number>();
    let sum = 0;
    for (const name of await filesystem.list(dir)) {
      if (name === current || name === RESERVE_NAME) continue;
      const bytes = await sizeOf(name);
      // What begins with a dot is on its way to another name.
      if (!name.startsWith('.')) found.set(name, bytes);
      sum += bytes;
    }
    // A cut meanwhile made one of these figures old; the next measurement is right.
    if (cuts !== cutsBefore) return;
    sizes = found;
    otherBytes = sum;
  }

  const bytes = (): number => otherBytes + segmentBytes + (hasReserve ? reserveBytes : 0);
  const keptFree = (): number => (hasReserve || isReleased ? 0 : reserveBytes);

  return {
    ...writer,
    bytes,
    measure,
    append: async (lines, records) => {
      const quota = options.quota();
      if (quota !== null && bytes() + keptFree() + lines.length > quota) {
        const message = `ledger.quota is reached: ${bytes()} of ${quota} bytes`;
        return err({ kind: 'disk_full', message });
      }
      const written = await writer.append(lines, records);
      follow();
      return written;
    },
    cut: async (state) => {
      const cut = await writer.cut(state);
      if (cut.ok) otherBytes += Buffer.byteLength(state);
      follow();
      return cut;
    },
    releaseReserve: async () => {
      await writer.releaseReserve();
      hasReserve = false;
      isReleased = true;
    },
    restoreReserve: async () => {
      const quota = options.quota();
      if (quota !== null) {
        await measure();
        const needed = (hasReserve ? 0 : reserveBytes) + (isReleased ? options.roomBytes : 0);
        if (bytes() + needed > quota) return false;
      }
      hasReserve = await writer.restoreReserve();
      if (hasReserve) isReleased = false;
      return hasReserve;
    },
  };
}
