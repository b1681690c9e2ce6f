/**
 * What an archive holds, by key: every version, and whether one of them has inside what the key names. A lock
 * keeps versions, not names: who may put can put another version on top, or a delete marker, and hide what
 * stands below. Both are told, and what was locked is read.
 */
import { err, ok, type Result } from '../../schemas/result.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { parseKey, type ManifestKey, type SegmentKey } from './layout.ts';
import { listVersions, readVersion, type ObjectVersion } from './objects.ts';
import { CONTENT_BYTES_MAX, unpack } from './segment.ts';

export interface CatalogObject {
  readonly key: string;
  readonly named: SegmentKey | ManifestKey;
  /** The newest first; none where only a delete marker is left. */
  readonly versions: readonly ObjectVersion[];
  readonly isHidden: boolean;
}

export interface Catalog {
  readonly objects: ReadonlyMap<string, CatalogObject>;
  /** Keys below the archive's folders that no archive writes. */
  readonly strangers: readonly string[];
}

export interface ObjectFinding {
  readonly kind: 'missing' | 'tampered' | 'truncated' | 'extra' | 'overwritten' | 'hidden';
  readonly object: string;
  readonly message: string;
}

/**
 * Lists manifests and segments, of one agent or all, as they stood at a time: what was put later, on top of others too, is
 * as if it were not there. So one who could put, and no more, keeps nobody from what was there before him. Rejects with
 * ArchiveError.
 */
export async function readCatalog(
  client: ArchiveClient,
  agent?: string,
  asOf: Date | null = null,
): Promise<Catalog> {
  const found = new Map<string, ObjectVersion[]>();
  for (const folder of ['manifests/', 'segments/'])
    for await (const page of listVersions(
      client,
      agent === undefined ? folder : `${folder}${agent}/`,
    ))
      for (const version of page) {
        const { key } = version;
        if (asOf !== null && version.modified > asOf) continue;
        const known = found.get(key) ?? [];
        found.set(key, known);
        known.push(version);
      }
  const objects = new Map<string, CatalogObject>();
  const strangers: string[] = [];
  for (const [key, all] of found) {
    const named = parseKey(key);
    const versions = all.filter(({ isDeleteMarker }) => !isDeleteMarker);
    const isHidden = all.reduce(upperOf).isDeleteMarker;
    if (named === null) strangers.push(key);
    else objects.set(key, { key, named, versions, isHidden });
  }
  return { objects, strangers };
}

/** Which of two versions stood on top before a later one was put there; of one time a marker, so that it is told. */
function upperOf(one: ObjectVersion, other: ObjectVersion): ObjectVersion {
  if (one.isLatest || other.isLatest) return one.isLatest ? one : other;
  const laterMs = one.modified.getTime() - other.modified.getTime();
  return laterMs > 0 || (laterMs === 0 && one.isDeleteMarker) ? one : other;
}

export interface OpenedObject {
  readonly content: Buffer;
  /** The version that has it. */
  readonly version: ObjectVersion;
  /** What was done on top of it. */
  readonly findings: readonly ObjectFinding[];
}

/** Reads what the key names; the error is the finding when no version has it. Rejects with ArchiveError. */
export async function openObject(
  client: ArchiveClient,
  { key, named, versions, isHidden }: CatalogObject,
): Promise<Result<OpenedObject, ObjectFinding>> {
  const findings: ObjectFinding[] = [];
  if (isHidden)
    findings.push({
      kind: 'hidden',
      object: key,
      message: 'a delete marker was put on top of it; what is locked stands below',
    });
  let worst: ObjectFinding = { kind: 'missing', object: key, message: 'no version of it is left' };
  let found: Omit<OpenedObject, 'findings'> | null = null;
  let others = 0;
  for (const version of versions) {
    // Put twice, as after a crash: one object.
    if (found?.version.etag === version.etag) continue;
    if (version.bytes > CONTENT_BYTES_MAX) {
      const message = `a version of ${version.bytes} bytes: no archive writes one so large`;
      worst = { kind: 'tampered', object: key, message };
      others += 1;
      continue;
    }
    const unpacked = await unpack(await readWhole(client, version), named.digest);
    if (unpacked.ok) found ??= { content: unpacked.value, version };
    else {
      worst = { ...unpacked.error, object: key };
      others += 1;
    }
  }
  if (found === null) return err(worst);
  if (others > 0)
    findings.push({
      kind: 'overwritten',
      object: key,
      message: `${others} other versions stand there; version ${found.version.versionId} is the one that was archived`,
    });
  return ok({ ...found, findings });
}

/** A version that has gone since it was listed is an empty one. */
async function readWhole(client: ArchiveClient, version: ObjectVersion): Promise<Buffer> {
  try {
    return await readVersion(client, version);
  } catch (error) {
    if (error instanceof ArchiveError && error.status === 404) return Buffer.alloc(0);
    throw error;
  }
}
