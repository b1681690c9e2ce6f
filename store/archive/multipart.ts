/** An object in parts: each with its own checksum, and aborted as a whole where one of them fails. */
import type { ArchiveLock } from '../../schemas/archive-config.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { hash, partsOf } from './digests.ts';
import { lockHeaders, type LockedObject } from './lock.ts';

/** Puts an object in parts of `multipart_bytes`; resolves with its version. */
export async function putInParts(
  client: ArchiveClient,
  lock: ArchiveLock,
  object: LockedObject,
): Promise<string | undefined> {
  const { bucket, prefix } = client.address;
  const where = { Bucket: bucket, Key: prefix + object.key };
  const { UploadId } = await client.run((s3, to, options) =>
    to.send(
      new s3.CreateMultipartUploadCommand({ ...where, ...lockHeaders(lock, object) }),
      options,
    ),
  );
  const upload = { ...where, UploadId };
  try {
    const parts: { readonly ETag: string | undefined; readonly PartNumber: number }[] = [];
    for (const [at, body] of partsOf(object.body, lock.multipart_bytes).entries()) {
      const PartNumber = at + 1;
      const ContentMD5 = hash('md5', body).toString('base64');
      const part = { ...upload, PartNumber, Body: body, ContentMD5 };
      const { ETag } = await client.run((s3, to, options) =>
        to.send(new s3.UploadPartCommand(part), options),
      );
      parts.push({ ETag, PartNumber });
    }
    const done = await client.run((s3, to, options) =>
      to.send(
        new s3.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }),
        options,
      ),
    );
    return done.VersionId;
  } catch (error) {
    await abort(client, upload);
    throw error;
  }
}

/** What cannot be taken back is taken by the lifecycle rule; why it failed is what must be told. */
async function abort(
  client: ArchiveClient,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
): Promise<void> {
  try {
    await client.run((s3, to, options) =>
      to.send(new s3.AbortMultipartUploadCommand(upload), options),
    );
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
  }
}
