/**
 * What an archive needs before an agent writes to it: a bucket with Object Lock and a default retention, and a
 * lifecycle that moves objects to cold storage and deletes none whose lock is on. The documents are pure, for an
 * administrator who applies them by other means.
 */
import type { BucketLocationConstraint } from '@aws-sdk/client-s3';
import type { ArchiveAddress, ArchiveLock } from '../../schemas/archive-config.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { lockMode } from './lock.ts';
import { requireObjectLock } from './objects.ts';

export interface LifecycleOptions {
  readonly coldAfterDays: number;
  readonly storageClass: string;
}

/**
 * The lifecycle. It has no Expiration: when a record may go differs by class, and a rule that is too early would
 * leave delete markers on top of what is locked. What came in parts and was never finished goes after a week.
 */
export function lifecycleOf(
  { prefix }: Pick<ArchiveAddress, 'prefix'>,
  { coldAfterDays, storageClass }: LifecycleOptions,
): {
  readonly Rules: readonly {
    readonly ID: string;
    readonly Status: 'Enabled';
    readonly Filter: { readonly Prefix: string };
    readonly Transitions?: readonly { readonly Days: number; readonly StorageClass: string }[];
    readonly AbortIncompleteMultipartUpload?: { readonly DaysAfterInitiation: number };
  }[];
} {
  return {
    Rules: [
      {
        ID: 'sealtrail-cold',
        Status: 'Enabled',
        // Manifests stay warm: a restore begins with them.
        Filter: { Prefix: `${prefix}segments/` },
        Transitions: [{ Days: coldAfterDays, StorageClass: storageClass }],
      },
      {
        ID: 'sealtrail-unfinished',
        Status: 'Enabled',
        Filter: { Prefix: prefix },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ],
  };
}

/** Rights of the agent's user: it puts and reads, makes locks longer, and deletes nothing. */
export function writerPolicyOf({ bucket, prefix }: Pick<ArchiveAddress, 'bucket' | 'prefix'>): {
  readonly Version: string;
  readonly Statement: readonly {
    readonly Sid: string;
    readonly Effect: 'Allow' | 'Deny';
    readonly Action: readonly string[];
    readonly Resource: readonly string[];
  }[];
} {
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'SealtrailWrite',
        Effect: 'Allow',
        Action: ['s3:PutObject', 's3:PutObjectRetention', 's3:AbortMultipartUpload'],
        // Not holds/: a host that was taken over must not be able to say that a matter is settled.
        Resource: ['segments', 'manifests', 'anchors'].map(
          (folder) => `arn:aws:s3:::${bucket}/${prefix}${folder}/*`,
        ),
      },
      {
        Sid: 'SealtrailRead',
        Effect: 'Allow',
        Action: [
          's3:GetObject',
          's3:GetObjectVersion',
          's3:GetObjectRetention',
          's3:GetObjectLegalHold',
        ],
        Resource: [`arn:aws:s3:::${bucket}/${prefix}*`],
      },
      {
        Sid: 'SealtrailBucket',
        Effect: 'Allow',
        Action: ['s3:GetBucketObjectLockConfiguration', 's3:ListBucketVersions', 's3:ListBucket'],
        Resource: [`arn:aws:s3:::${bucket}`],
      },
      {
        Sid: 'SealtrailNever',
        Effect: 'Deny',
        Action: [
          's3:DeleteObject',
          's3:DeleteObjectVersion',
          's3:BypassGovernanceRetention',
          's3:PutLifecycleConfiguration',
          's3:PutBucketObjectLockConfiguration',
        ],
        Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
      },
    ],
  };
}

export interface SetupStep {
  readonly what: 'bucket' | 'retention' | 'lifecycle';
  readonly done: 'made' | 'was there' | 'set';
}

export interface ArchiveSetup {
  readonly client: ArchiveClient;
  readonly lock: Pick<ArchiveLock, 'lock_mode'>;
  /** Of objects that are put without a lock of their own. */
  readonly defaultDays: number;
  readonly lifecycle: LifecycleOptions;
}

/** Makes the bucket, or brings one that has Object Lock to this state. Rejects with ArchiveError. */
export async function setupArchive(setup: ArchiveSetup): Promise<readonly SetupStep[]> {
  const { client } = setup;
  const { bucket } = client.address;
  const made = await makeBucket(client);
  await requireObjectLock(client);
  await client.run((s3, to, options) =>
    to.send(
      new s3.PutObjectLockConfigurationCommand({
        Bucket: bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: lockMode(setup.lock), Days: setup.defaultDays } },
        },
      }),
      options,
    ),
  );
  const { Rules } = lifecycleOf(client.address, setup.lifecycle);
  await client.run((s3, to, options) =>
    to.send(
      new s3.PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: {
          Rules: Rules.map(({ Transitions, ...rule }) => ({
            ...rule,
            ...(Transitions !== undefined && {
              Transitions: Transitions.map(({ Days, StorageClass }) => ({
                Days,
                StorageClass: storageClassOf(StorageClass),
              })),
            }),
          })),
        },
      }),
      options,
    ),
  );
  return [
    { what: 'bucket', done: made },
    { what: 'retention', done: 'set' },
    { what: 'lifecycle', done: 'set' },
  ];
}

/** Storage classes that S3 moves objects to; others have names of their own. */
export const STORAGE_CLASSES = [
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
  'STANDARD_IA',
  'INTELLIGENT_TIERING',
] as const;

function storageClassOf(name: string): (typeof STORAGE_CLASSES)[number] {
  return STORAGE_CLASSES.find((one) => one === name) ?? 'GLACIER';
}

async function makeBucket(client: ArchiveClient): Promise<'made' | 'was there'> {
  const { bucket, region, endpoint } = client.address;
  try {
    await client.run((s3, to, options) =>
      to.send(
        new s3.CreateBucketCommand({
          Bucket: bucket,
          ObjectLockEnabledForBucket: true,
          // AWS refuses its own first region here, and others take none.
          ...(endpoint === undefined &&
            region !== 'us-east-1' && {
              CreateBucketConfiguration: {
                LocationConstraint: region as BucketLocationConstraint,
              },
            }),
        }),
        options,
      ),
    );
    return 'made';
  } catch (error) {
    const isOurs = error instanceof ArchiveError && error.code === 'BucketAlreadyOwnedByYou';
    const isThere = error instanceof ArchiveError && error.code === 'BucketAlreadyExists';
    // In the first region, and on some servers, one's own bucket is made again without an error.
    if (!isOurs && !isThere) throw error;
    return 'was there';
  }
}
