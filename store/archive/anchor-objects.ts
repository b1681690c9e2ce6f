/**
 * Checkpoints as locked objects: one key a size of a log, the first version put there is the one that counts.
 *
 *   anchors/<SHA-256 of the origin, hex>/<size, 20 digits>
 *
 * Not every server refuses to put over an object, and none that keeps versions loses the first one. So what
 * was put is told by asking for all versions, and whoever comes second is told what stands there.
 */
import type { ArchiveLock } from '../../schemas/archive-config.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { hash } from './digests.ts';
import {
  confirmLock,
  headObject,
  listVersions,
  putLocked,
  readVersion,
  type ObjectVersion,
} from './objects.ts';

export interface AnchoredNote {
  readonly size: bigint;
  readonly note: string;
  /** Where it lies, without credentials. */
  readonly place: string;
}

export interface AnchorObjects {
  /** The largest of a log; null: none. `near`: the size that is expected there. Rejects with ArchiveError. */
  newest(origin: string, near: bigint): Promise<AnchoredNote | null>;
  /** Puts a note, durable and locked when it resolves; the first of that size, ours or an earlier one. */
  insert(origin: string, size: bigint, note: string): Promise<AnchoredNote>;
}

const DAY_MS = 86_400_000;
/** How far before the expected size the listing begins, in turn; a round adds one leaf at least. */
const WINDOWS = [1n, 64n, 8_192n, 1n << 64n] as const;

/** Creates it over a client of the bucket. */
export function createAnchorObjects(
  client: ArchiveClient,
  lock: ArchiveLock & { readonly retain_days: number },
  nowMs: () => number,
): AnchorObjects {
  const folderOf = (origin: string): string =>
    `anchors/${hash('sha256', Buffer.from(origin)).toString('hex')}/`;
  const keyOf = (origin: string, size: bigint): string =>
    `${folderOf(origin)}${String(size).padStart(20, '0')}`;

  async function read(first: ObjectVersion): Promise<AnchoredNote> {
    const { key, versionId } = first;
    const { bucket, prefix } = client.address;
    return {
      size: BigInt(key.slice(-20)),
      note: (await readVersion(client, first)).toString('utf8'),
      place: `s3://${bucket}/${prefix}${key}?versionId=${versionId}`,
    };
  }

  /** The first version of the last key; the newest of a key is listed first. */
  async function findLast(below: string, after?: string): Promise<ObjectVersion | null> {
    let last = null as ObjectVersion | null;
    for await (const page of listVersions(client, below, after))
      for (const version of page)
        if (!version.isDeleteMarker && /\/[0-9]{20}$/.test(version.key))
          last = last !== null && last.key > version.key ? last : version;
    return last;
  }

  return {
    newest: async (origin, near) => {
      for (const window of WINDOWS) {
        // The marker itself is left out, so that a window of 1 begins with the expected size.
        const after = near > window ? keyOf(origin, near - window) : undefined;
        const last = await findLast(folderOf(origin), after);
        if (last !== null) return read(last);
        if (after === undefined) break;
      }
      return null;
    },
    insert: async (origin, size, note) => {
      const key = keyOf(origin, size);
      const retainUntil = new Date(nowMs() + lock.retain_days * DAY_MS);
      const before = await findLast(key);
      if (before === null) {
        const body = Buffer.from(note);
        const contentType = 'text/plain; charset=utf-8';
        await putLocked(client, lock, { key, body, contentType, retainUntil });
      }
      const first = before ?? (await findLast(key));
      if (first === null)
        throw new ArchiveError('NotThere', 0, `${key} was put, and is not listed`);
      const standing = await read(first);
      if (before === null || standing.note !== note) return standing;
      // It may stand there of a try that failed before its lock was confirmed.
      const head = await headObject(client, key, first.versionId);
      if (head === null)
        throw new ArchiveError('NotThere', 0, `${key} has gone since it was listed`);
      await confirmLock(client, lock, { key, retainUntil }, head);
      return standing;
    },
  };
}
