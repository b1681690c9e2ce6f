/** The archive in S3 under Object Lock, a part of the configuration. */
import type { ExporterBase, TlsClientConfig } from './exporter-base.ts';

/** Which bucket, how it is reached, and as whom. */
export interface ArchiveAddress {
  readonly bucket: string;
  /** Begins every key; ends in a slash, or is empty. */
  readonly prefix: string;
  readonly region: string;
  /** Absent: that of AWS for the region. */
  readonly endpoint?: string;
  /** The bucket in the path of a URL, not in its host. */
  readonly path_style: boolean;
  /** With the secret; absent: what the AWS SDK finds (environment, profile, role of the host or pod). */
  readonly access_key_id?: string;
  readonly secret_access_key?: string;
  readonly session_token?: string;
  readonly tls?: TlsClientConfig;
}

/** How objects are locked. */
export interface ArchiveLock {
  readonly lock_mode: 'compliance' | 'governance';
  /** Key of the KMS that encrypts objects; absent: what the bucket does by default. */
  readonly kms_key_id?: string;
  /** Objects beyond so many bytes go in parts. */
  readonly multipart_bytes: number;
}

/** Sealed records, locked until their retention class lets them go. */
export interface S3ExporterConfig extends ExporterBase, ArchiveAddress, ArchiveLock {
  readonly type: 's3';
  /** So long records gather for an object, unless a batch is full before. */
  readonly segment_age_ms: number;
  /** Days that each retention class is kept, from `retention.classes`. */
  readonly retain_days: Readonly<Record<string, number>>;
}
