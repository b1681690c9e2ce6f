/**
 * Objects under Object Lock: put once, confirmed by what the server then says of them. A server that takes the
 * object and drops the lock is refused: the archive's promise is the lock, not the copy.
 */
import type { ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import type { ArchiveLock } from '../../schemas/archive-config.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { etagOf, hash } from './digests.ts';
import { lockHeaders, lockMode, type LockedObject } from './lock.ts';
import { putInParts } from './multipart.ts';

export interface ObjectVersion {
  /** Without the archive's prefix. */
  readonly key: string;
  readonly versionId: string;
  readonly bytes: number;
  readonly etag: string;
  readonly isLatest: boolean;
  /** It hides the versions below it, and deletes none. */
  readonly isDeleteMarker: boolean;
  readonly modified: Date;
}

/** What stands at a key, and how it is locked. */
export interface ObjectHead {
  readonly versionId: string;
  readonly bytes: number;
  readonly etag: string;
  readonly mode: string | null;
  readonly retainUntil: Date | null;
  readonly isHeld: boolean;
}

/** Rejects unless the bucket has Object Lock; resolves with the retention that it gives by default, if any. */
export async function requireObjectLock(client: ArchiveClient): Promise<string | null> {
  const { bucket } = client.address;
  const answer = await client.run((s3, to, options) =>
    to.send(new s3.GetObjectLockConfigurationCommand({ Bucket: bucket }), options),
  );
  const { ObjectLockEnabled, Rule } = answer.ObjectLockConfiguration ?? {};
  if (ObjectLockEnabled !== 'Enabled')
    throw new ArchiveError(
      'ObjectLockConfigurationNotFoundError',
      404,
      `S3 bucket ${bucket} has no Object Lock, so nothing in it would be safe: make another with \`sealtrail setup archive\``,
    );
  const { Mode, Days, Years } = Rule?.DefaultRetention ?? {};
  if (Mode === undefined) return null;
  return `${Mode} ${Days === undefined ? `${Years ?? 0} years` : `${Days} days`}`;
}

/**
 * Puts an object; resolves once the server says that these bytes stand there, locked for as long as asked. An
 * object that stands there already is left as it is, and its lock made longer where it is shorter.
 */
export async function putLocked(
  client: ArchiveClient,
  lock: ArchiveLock,
  object: LockedObject,
): Promise<ObjectHead> {
  const standing = await headObject(client, object.key);
  if (standing !== null && isContent(standing, object, lock))
    return confirmLock(client, lock, object, standing);
  const versionId = await put(client, lock, object);
  const head = await headObject(client, object.key, versionId);
  if (head === null)
    throw new ArchiveError('NotThere', 0, `${object.key} was taken, and is not there`);
  if (!isContent(head, object, lock))
    throw new ArchiveError('Differs', 0, `${object.key} was taken, and other bytes stand there`);
  return confirmLock(client, lock, object, head);
}

async function put(
  client: ArchiveClient,
  lock: ArchiveLock,
  object: LockedObject,
): Promise<string | undefined> {
  if (object.body.length > lock.multipart_bytes) return putInParts(client, lock, object);
  const { bucket, prefix } = client.address;
  const { key, body } = object;
  const answer = await client.run((s3, to, options) =>
    to.send(
      new s3.PutObjectCommand({
        Bucket: bucket,
        Key: prefix + key,
        Body: body,
        ContentMD5: hash('md5', body).toString('base64'),
        ChecksumSHA256: hash('sha256', body).toString('base64'),
        ...lockHeaders(lock, object),
      }),
      options,
    ),
  );
  return answer.VersionId;
}

/** The lock is confirmed by a question of its own: a put that was answered may have lost its headers. */
export async function confirmLock(
  client: ArchiveClient,
  lock: ArchiveLock,
  object: Pick<LockedObject, 'key' | 'retainUntil'>,
  head: ObjectHead,
): Promise<ObjectHead> {
  if (isLocked(lock, object, head)) return head;
  const { bucket, prefix } = client.address;
  const Mode = lockMode(lock);
  // Some servers lock what comes in parts by the bucket's default alone.
  await client.run((s3, to, options) =>
    to.send(
      new s3.PutObjectRetentionCommand({
        Bucket: bucket,
        Key: prefix + object.key,
        VersionId: head.versionId,
        Retention: { Mode, RetainUntilDate: object.retainUntil },
      }),
      options,
    ),
  );
  const after = await headObject(client, object.key, head.versionId);
  if (after !== null && isLocked(lock, object, after)) return after;
  throw new ArchiveError(
    'NotLocked',
    0,
    `the server took ${object.key} and did not lock it as asked (${lock.lock_mode} until ${object.retainUntil.toISOString()}; it says ${after?.mode ?? 'no lock'}): it is no archive`,
  );
}

function isLocked(
  { lock_mode }: ArchiveLock,
  { retainUntil }: Pick<LockedObject, 'retainUntil'>,
  head: ObjectHead,
) {
  // Compliance is more than governance; a second is what dates in headers are rounded to.
  const isStrict =
    head.mode === 'COMPLIANCE' || (lock_mode === 'governance' && head.mode === 'GOVERNANCE');
  return isStrict && (head.retainUntil?.getTime() ?? 0) >= retainUntil.getTime() - 1_000;
}

/** What stands at a key, or a version of it; null for nothing, a delete marker included. */
export async function headObject(
  client: ArchiveClient,
  key: string,
  versionId?: string,
): Promise<ObjectHead | null> {
  const { bucket, prefix } = client.address;
  try {
    const head = await client.run((s3, to, options) =>
      to.send(
        new s3.HeadObjectCommand({
          Bucket: bucket,
          Key: prefix + key,
          ...(versionId !== undefined && { VersionId: versionId }),
        }),
        options,
      ),
    );
    return {
      versionId: head.VersionId ?? '',
      bytes: head.ContentLength ?? 0,
      etag: head.ETag ?? '',
      mode: head.ObjectLockMode ?? null,
      retainUntil: head.ObjectLockRetainUntilDate ?? null,
      isHeld: head.ObjectLockLegalHoldStatus === 'ON',
    };
  } catch (error) {
    if (error instanceof ArchiveError && error.status === 404 && error.code === 'NotFound')
      return null;
    throw error;
  }
}

/** Versions and delete markers below a prefix, behind a key if one is given, by key, the newest first. */
export async function* listVersions(
  client: ArchiveClient,
  below: string,
  after?: string,
): AsyncGenerator<readonly ObjectVersion[], void> {
  const { bucket, prefix } = client.address;
  let place: PagePlace | null = after === undefined ? {} : { KeyMarker: prefix + after };
  while (place !== null) {
    const request = { Bucket: bucket, Prefix: prefix + below, ...place };
    const page: ListObjectVersionsCommandOutput = await client.run((s3, to, options) =>
      to.send(new s3.ListObjectVersionsCommand(request), options),
    );
    const read = (one: VersionEntry, isDeleteMarker: boolean): ObjectVersion => ({
      key: (one.Key ?? '').slice(prefix.length),
      versionId: one.VersionId ?? '',
      bytes: one.Size ?? 0,
      etag: one.ETag ?? '',
      isLatest: one.IsLatest ?? false,
      isDeleteMarker,
      modified: one.LastModified ?? new Date(0),
    });
    yield [
      ...(page.Versions ?? []).map((one) => read(one, false)),
      ...(page.DeleteMarkers ?? []).map((one) => read(one, true)),
    ];
    place =
      page.IsTruncated === true
        ? {
            ...(page.NextKeyMarker !== undefined && { KeyMarker: page.NextKeyMarker }),
            ...(page.NextVersionIdMarker !== undefined && {
              VersionIdMarker: page.NextVersionIdMarker,
            }),
          }
        : null;
  }
}

interface PagePlace {
  readonly KeyMarker?: string;
  readonly VersionIdMarker?: string;
}

interface VersionEntry {
  readonly Key?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly Size?: number | undefined;
  readonly ETag?: string | undefined;
  readonly IsLatest?: boolean | undefined;
  readonly LastModified?: Date | undefined;
}

/** Reads a version whole. */
export async function readVersion(
  client: ArchiveClient,
  { key, versionId }: Pick<ObjectVersion, 'key' | 'versionId'>,
): Promise<Buffer> {
  const { bucket, prefix } = client.address;
  return client.run(async (s3, to, options) => {
    const answer = await to.send(
      new s3.GetObjectCommand({ Bucket: bucket, Key: prefix + key, VersionId: versionId }),
      options,
    );
    const bytes = await answer.Body?.transformToByteArray();
    return Buffer.from(bytes ?? []);
  });
}

/** Whether these bytes stand there: by length, and by ETag where that is made of the bytes. */
function isContent(
  head: ObjectHead,
  { body }: LockedObject,
  { kms_key_id, multipart_bytes }: ArchiveLock,
): boolean {
  if (head.bytes !== body.length) return false;
  const etag = head.etag.replaceAll('"', '');
  if (kms_key_id !== undefined || !/^[0-9a-f]{32}(-[0-9]+)?$/.test(etag)) return true;
  return etag === etagOf(body, multipart_bytes);
}
