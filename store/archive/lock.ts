/** An object on its way into the archive, and the headers that lock it. Pure. */
import type { ArchiveLock } from '../../schemas/archive-config.ts';

export interface LockedObject {
  /** Without the archive's prefix. */
  readonly key: string;
  readonly body: Buffer;
  readonly contentType: string;
  readonly retainUntil: Date;
}

/** Headers that an object is put with, in one piece or in parts. */
export function lockHeaders(
  lock: ArchiveLock,
  { contentType, retainUntil }: LockedObject,
): {
  readonly ContentType: string;
  readonly ObjectLockMode: 'COMPLIANCE' | 'GOVERNANCE';
  readonly ObjectLockRetainUntilDate: Date;
  readonly ServerSideEncryption?: 'aws:kms';
  readonly SSEKMSKeyId?: string;
} {
  return {
    ContentType: contentType,
    ObjectLockMode: lockMode(lock),
    ObjectLockRetainUntilDate: retainUntil,
    ...(lock.kms_key_id !== undefined && {
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: lock.kms_key_id,
    }),
  };
}

/** The mode by S3's name. */
export function lockMode({
  lock_mode,
}: Pick<ArchiveLock, 'lock_mode'>): 'COMPLIANCE' | 'GOVERNANCE' {
  return lock_mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
}
