/**
 * Rotation of a file sink: the file is renamed to `<path>.<number>`, the next one up, and a new one is
 * begun. A renamed file is whole, on disk, and not written again. After a crash the mark kept with the
 * cursor may name a file that has been renamed since: from there to the end of the file in use everything
 * was written after the mark, so what is sent again is compared along the whole way.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Filesystem } from '../../../ledger/filesystem.ts';
import type { FileRotation } from '../../../schemas/exporter-config.ts';

/** A file that has been rotated away. */
export interface Archive {
  readonly path: string;
  readonly number: number;
  readonly inode: number;
}

const DIGITS = 8;
const MINUTE_MS = 60_000;
/**
 * A cursor is saved within moments, so that no file this old is needed to compare with. Younger ones
 * stay for as long, however many they are.
 */
const KEEP_MS_MIN = MINUTE_MS;

/** Whether a batch of so many bytes goes into a new file. An empty file is never rotated. */
export function isDue(
  rotate: FileRotation,
  file: { readonly bytes: number; readonly sinceMs: number },
  batchBytes: number,
  nowMs: number,
): boolean {
  if (file.bytes === 0) return false;
  const { bytes, interval_minutes: minutes } = rotate;
  if (bytes !== undefined && file.bytes + batchBytes > bytes) return true;
  return minutes !== undefined && nowMs - file.sinceMs >= minutes * MINUTE_MS;
}

/** Files rotated away from this path, oldest first. */
export async function listArchives(
  filesystem: Filesystem,
  path: string,
): Promise<readonly Archive[]> {
  const prefix = `${basename(path)}.`;
  const archives: Archive[] = [];
  for (const name of await filesystem.list(dirname(path))) {
    const number = name.slice(prefix.length);
    if (!name.startsWith(prefix) || !new RegExp(`^\\d{${DIGITS}}$`).test(number)) continue;
    const archive = join(dirname(path), name);
    archives.push({ path: archive, number: Number(number), inode: (await stat(archive)).ino });
  }
  return archives.sort((one, other) => one.number - other.number);
}

/** Renames the file, durably. It MUST be on disk and closed. */
export async function rotateAway(filesystem: Filesystem, path: string): Promise<void> {
  const last = (await listArchives(filesystem, path)).at(-1)?.number ?? 0;
  await filesystem.rename(path, `${path}.${String(last + 1).padStart(DIGITS, '0')}`);
  // Before a new file takes the name: else a crash could leave that one, and the old one nowhere.
  await filesystem.syncDir(dirname(path));
}

/** Removes the oldest archives beyond `keep`, unless they are too young; resolves with how many. */
export async function prune(
  filesystem: Filesystem,
  path: string,
  keep: number,
  nowMs: number,
): Promise<number> {
  const archives = await listArchives(filesystem, path);
  let removed = 0;
  for (const archive of archives.slice(0, Math.max(0, archives.length - keep))) {
    if (nowMs - (await stat(archive.path)).mtimeMs < KEEP_MS_MIN) break;
    await filesystem.remove(archive.path);
    removed += 1;
  }
  return removed;
}

/** What was written after a mark into files that are rotated away by now. */
export interface Passage {
  /** Where the comparison stands, as a mark. */
  readonly place: { readonly inode: number; readonly bytes: number };
  /** Compares text that is sent again with what stands there. Changes nothing. */
  skip(text: Buffer): Promise<Skipped>;
}

export interface Skipped {
  /** What belongs into the file in use. Where the two part, all but the whole lines they share. */
  readonly rest: Buffer;
  /** Where to go on; null at the end of the way. */
  readonly left: Passage | null;
}

/** Opens the way from a mark to the file in use; null when its file is not among the archives. */
export async function openPassage(
  filesystem: Filesystem,
  path: string,
  mark: { readonly inode: number; readonly bytes: number },
): Promise<Passage | null> {
  const archives = await listArchives(filesystem, path);
  const first = archives.findIndex(({ inode }) => inode === mark.inode);
  return first < 0 ? null : passageAt(filesystem, archives.slice(first), mark.bytes);
}

function passageAt(
  filesystem: Filesystem,
  archives: readonly Archive[],
  at: number,
): Passage | null {
  const [archive, ...others] = archives;
  if (archive === undefined) return null;
  return {
    place: { inode: archive.inode, bytes: at },
    skip: async (text) => {
      const standing = await readAt(filesystem, archive, at, text.length);
      const length = commonLength(standing, text);
      // Other documents: a mapping of another version wrote them.
      if (length < standing.length)
        return { rest: text.subarray(text.subarray(0, length).lastIndexOf('\n') + 1), left: null };
      const rest = text.subarray(length);
      if (rest.length === 0) return { rest, left: passageAt(filesystem, archives, at + length) };
      const next = passageAt(filesystem, others, 0);
      return next === null ? { rest, left: null } : next.skip(rest);
    },
  };
}

async function readAt(
  filesystem: Filesystem,
  { path }: Archive,
  position: number,
  length: number,
): Promise<Buffer> {
  const file = await filesystem.openRead(path);
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, await file.read(position, bytes));
  } finally {
    await file.close();
  }
}

/** How many leading bytes two texts share. */
export function commonLength(one: Buffer, other: Buffer): number {
  const length = Math.min(one.length, other.length);
  if (one.subarray(0, length).equals(other.subarray(0, length))) return length;
  let at = 0;
  while (one[at] === other[at]) at += 1;
  return at;
}
