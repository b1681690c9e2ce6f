/**
 * The ledger writer: one group commit = one write + one fdatasync. It is the only thing that writes
 * segments, and it knows how much of the current one is durable. After any failure the segment is
 * cut back to that size, so that an un-acked batch is never found behind acked ones.
 */
import { join } from 'node:path';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { Filesystem, LedgerFile } from './filesystem.ts';
import { RESERVE_NAME, segmentName, stateName } from './segment.ts';

export type WriteFailure =
  /** No space: the batch is not in the ledger, and a later one may be. */
  | { readonly kind: 'disk_full'; readonly message: string }
  /**
   * The disk failed twice, or the ledger is closed: nothing more is written. Whether the batch is in
   * the ledger shows at the next start.
   */
  | { readonly kind: 'storage_failed'; readonly message: string };

export interface Commit {
  readonly fsyncMs: number;
  /** Set when the first try failed and the batch went to a new segment. */
  readonly retried?: string;
}

export interface LedgerWriter {
  /**
   * Appends whole records; ok MUST mean that they are durable. After disk_full none of them is, and
   * the ledger ends where it ended before.
   */
  append(bytes: Uint8Array, records: number): Promise<Result<Commit, WriteFailure>>;
  /** Whether the current segment should be cut before this many bytes are appended. */
  isFull(bytes: number): boolean;
  /**
   * Begins a new segment; `state` is kept beside it (state.ts). On an error the ledger goes on in the
   * segment it has, and is full again one segment later.
   */
  cut(state: string): Promise<Result<void, WriteFailure>>;
  /** Frees the reserve, so that "the disk is full" can itself be recorded. */
  releaseReserve(): Promise<void>;
  /** Takes the reserve back; false while there is no space for it. */
  restoreReserve(): Promise<boolean>;
  position(): { readonly segment: number; readonly segmentBytes: number; readonly records: number };
  /** Whatever is appended later is refused. */
  close(): Promise<void>;
}

export interface WriterOptions {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly segmentBytes: number;
  readonly reserveBytes: number;
  /** Where recovery ended: the last segment (null in an empty ledger), its size, all records. */
  readonly segment: number | null;
  readonly segmentBytesDurable: number;
  readonly records: number;
}

const NO_SPACE: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

function failureOf(error: unknown): WriteFailure {
  const kind = NO_SPACE.has(codeOf(error)) ? 'disk_full' : 'storage_failed';
  return { kind, message: messageOf(error) };
}

/** Opens the ledger for appending, where recovery ended. Rejects with the system's error. */
export async function openWriter(options: WriterOptions): Promise<LedgerWriter> {
  const { dir, filesystem } = options;
  const pathOf = (first: number): string => join(dir, segmentName(first));
  let segment = options.segment ?? options.records;
  let durableBytes = options.segmentBytesDurable;
  let records = options.records;
  let cutAt = options.segmentBytes;
  /** Set once the folder may hold what nobody was acked for: nothing MUST be written behind it. */
  let broken: WriteFailure | null = null;

  async function removeSegment(first: number): Promise<void> {
    await filesystem.remove(pathOf(first));
    await filesystem.syncDir(dir);
  }

  /** Begins a segment file whose name MUST survive a crash before a record in it is acked. */
  async function createSegment(first: number): Promise<LedgerFile> {
    const created = await filesystem.create(pathOf(first));
    try {
      await filesystem.syncDir(dir);
      return created;
    } catch (error) {
      try {
        await created.close();
        await removeSegment(first);
      } catch (second) {
        // Left behind, it would claim numbers that the segment before it goes on to use.
        broken = { kind: 'storage_failed', message: messageOf(second) };
      }
      throw error;
    }
  }

  let file: LedgerFile =
    options.segment === null
      ? await createSegment(segment)
      : await filesystem.open(pathOf(segment));

  async function begin(first: number): Promise<void> {
    const next = await createSegment(first);
    const before = file;
    file = next;
    segment = first;
    durableBytes = 0;
    cutAt = options.segmentBytes;
    await before.close();
  }

  async function writeBatch(bytes: Uint8Array): Promise<number> {
    await file.append(bytes);
    const startedMs = performance.now();
    await file.datasync();
    const fsyncMs = performance.now() - startedMs;
    // What nobody can find, or does not stand where the ledger ends, must not be acked.
    const { bytes: size, names } = file.look();
    if (names === 0) throw new Error(`${segmentName(segment)} was removed while it is in use`);
    if (size !== durableBytes + bytes.length)
      throw new Error(`${segmentName(segment)} was changed by somebody else while it is in use`);
    return fsyncMs;
  }

  /**
   * After a failed write or fsync this handle's page cache may disagree with the disk, and a second
   * fsync on it may report success for lost pages. So: a fresh handle, back to the durable size, and
   * fsync.
   */
  async function abandonTail(): Promise<void> {
    const before = file;
    file = await filesystem.open(pathOf(segment));
    await before.close();
    // Cut short by somebody else: grown again it would hold zeros where acked records were.
    if (file.look().bytes < durableBytes)
      throw new Error(`${segmentName(segment)} has lost records`);
    await file.truncate(durableBytes);
    await file.sync();
  }

  async function rewrite(bytes: Uint8Array): Promise<number> {
    await abandonTail();
    // The failed segment may be empty: then the new one has its name.
    if (records === segment) await removeSegment(segment);
    await begin(records);
    return writeBatch(bytes);
  }

  async function append(bytes: Uint8Array, count: number): Promise<Result<Commit, WriteFailure>> {
    if (broken !== null) return err(broken);
    let first: unknown;
    try {
      const fsyncMs = await writeBatch(bytes);
      durableBytes += bytes.length;
      records += count;
      return ok({ fsyncMs });
    } catch (error) {
      first = error;
    }
    try {
      if (failureOf(first).kind === 'disk_full') {
        await abandonTail();
        return err(failureOf(first));
      }
      const fsyncMs = await rewrite(bytes);
      durableBytes = bytes.length;
      records += count;
      return ok({ fsyncMs, retried: messageOf(first) });
    } catch (second) {
      const message = `${messageOf(first)}; then, on a fresh handle: ${messageOf(second)}`;
      broken = { kind: 'storage_failed', message };
      return err(broken);
    }
  }

  async function cut(state: string): Promise<Result<void, WriteFailure>> {
    if (broken !== null) return err(broken);
    try {
      await filesystem.replace(join(dir, stateName(records)), state);
      await begin(records);
      return ok(undefined);
    } catch (error) {
      cutAt += options.segmentBytes;
      return err(broken ?? failureOf(error));
    }
  }

  async function restoreReserve(): Promise<boolean> {
    const path = join(dir, RESERVE_NAME);
    if (await filesystem.exists(path)) return true;
    try {
      // Zeros are written, not a hole: a sparse file would reserve nothing.
      await filesystem.replace(path, new Uint8Array(options.reserveBytes));
      return true;
    } catch (error) {
      if (failureOf(error).kind === 'disk_full') return false;
      throw error;
    }
  }

  return {
    append,
    cut,
    restoreReserve,
    isFull: (bytes) => durableBytes > 0 && durableBytes + bytes > cutAt,
    releaseReserve: () => filesystem.remove(join(dir, RESERVE_NAME)),
    position: () => ({ segment, segmentBytes: durableBytes, records }),
    close: () => {
      broken ??= { kind: 'storage_failed', message: 'the ledger is closed' };
      return file.close();
    },
  };
}
