/**
 * What stands in the archive already of a batch that is put again. A crash between a put and the cursor lets
 * the same records come once more, cut elsewhere: one of the two contents then begins with the other.
 */
import type { ArchiveClient } from './client.ts';
import { parseKey, segmentPrefix, type Group } from './layout.ts';
import { listVersions, readVersion, type ObjectVersion } from './objects.ts';
import { CONTENT_BYTES_MAX, splitLines, unpack } from './segment.ts';

export interface StandingSegment {
  readonly key: string;
  readonly versionId: string;
  /** How many of the batch's records it holds, from the first on. */
  readonly records: number;
}

/** Looks for an object that begins with this record. */
export async function findStanding(
  client: ArchiveClient,
  group: Group,
  first: number,
  content: Buffer,
): Promise<{ readonly standing: StandingSegment | null; readonly foreign: readonly string[] }> {
  const foreign = new Set<string>();
  for await (const page of listVersions(client, segmentPrefix(group, first)))
    for (const version of page) {
      if (version.isDeleteMarker) continue;
      const theirs = await open(client, version);
      if (theirs === null || !isSameBeginning(theirs, content)) {
        foreign.add(version.key);
        continue;
      }
      const shorter = theirs.length < content.length ? theirs : content;
      const records = splitLines(shorter).length;
      return { standing: { key: version.key, versionId: version.versionId, records }, foreign: [] };
    }
  return { standing: null, foreign: [...foreign] };
}

/** Its content; null where that is not what its key names. */
async function open(client: ArchiveClient, version: ObjectVersion): Promise<Buffer | null> {
  // Whoever puts a huge one there must not fill this process.
  if (version.bytes > CONTENT_BYTES_MAX) return null;
  const unpacked = await unpack(
    await readVersion(client, version),
    parseKey(version.key)?.digest ?? '',
  );
  return unpacked.ok ? unpacked.value : null;
}

function isSameBeginning(one: Buffer, other: Buffer): boolean {
  const length = Math.min(one.length, other.length);
  return length > 0 && one.subarray(0, length).equals(other.subarray(0, length));
}
