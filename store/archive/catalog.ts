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
  const found = new Map<string, { versions: ObjectVersion[]; isHidden: boolean }>();
  for (const folder of ['manifests/', 'segments/'])
    for await (const page of listVersions(
      client,
      agent === undefined ? folder : `${folder}${agent}/`,
    ))
      for (const version of page) {
        const { key } = version;
        if (asOf !== null && version.modified > asOf) continue;
        const one = found.get(key) ?? { versions: [], isHidden: false };
        found.set(key, one);
        if (!version.isDeleteMarker) one.versions.push(version);
        else if (version.isLatest) one.isHidden = true;
      }
  const objects = new Map<string, CatalogObject>();
  const strangers: string[] = [];
  for (const [key, one] of found) {
    const named = parseKey(key);
    if (named === null) strangers.push(key);
    else objects.set(key, { key, named, ...one });
  }
  return { objects, strangers };
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
