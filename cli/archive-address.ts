/** Which archive a command means: an exporter of the configuration, or, on a host that has none, a bucket. */
import { loadConfig } from '../agent/config.ts';
import {
  RETENTION_CLASSES_DEFAULT,
  RETRY_DEFAULTS,
  S3_DEFAULTS,
} from '../agent/config-defaults.ts';
import type { Command } from 'commander';
import type { S3ExporterConfig } from '../schemas/archive-config.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { formatFault } from './config-check.ts';

/** Longest wait for one object of an archive that is read whole, at least. */
export const ARCHIVE_TIMEOUT_MS = 60_000;

export interface ArchiveFlags {
  readonly config: string;
  readonly exporter?: string;
  readonly bucket?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly prefix?: string;
  readonly pathStyle?: boolean;
  readonly caFile?: string;
}

export const CREDENTIALS_HELP = `Credentials: those of the exporter; with --bucket what the AWS SDK finds ($AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, a profile, a role).`;

/** Adds the options that say which archive. */
export function addArchiveOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file', 'config/sealtrail.yaml')
    .option('--exporter <name>', 'which exporter of type s3, where there are several')
    .option('--bucket <name>', 'a bucket, without any configuration file')
    .option('--endpoint <url>', 'with --bucket: the server; default: AWS')
    .option('--region <name>', 'with --bucket: its region', S3_DEFAULTS.region)
    .option('--prefix <prefix>', 'with --bucket: what its keys begin with', S3_DEFAULTS.prefix)
    .option('--path-style', 'with --bucket: the bucket in the path of a URL')
    .option('--ca-file <file>', 'with --bucket: authorities to trust, PEM');
}

/** Finds the archive; the error is for the person who asked, with `remedy` where the configuration has none. */
export async function findArchive(
  flags: ArchiveFlags,
  env: NodeJS.ProcessEnv,
  remedy = 'name a bucket with --bucket',
): Promise<Result<S3ExporterConfig, string>> {
  if (flags.bucket !== undefined) return ok(archiveOfFlags(flags, flags.bucket));
  const loaded = await loadConfig(flags.config, env);
  if (!loaded.ok)
    return err(loaded.error.map((fault) => formatFault(flags.config, fault)).join('\n'));
  const all = loaded.value.exporters.filter((one) => one.type === 's3');
  const { exporter } = flags;
  const found = exporter === undefined ? all : all.filter(({ name }) => name === exporter);
  const [first] = found;
  if (first !== undefined && found.length === 1) return ok(first);
  if (all.length === 0) return err(`the configuration has no exporter of type s3; ${remedy}`);
  const names = all.map(({ name }) => name).join(', ');
  return err(`choose one of the exporters with --exporter: ${names}`);
}

function archiveOfFlags(flags: ArchiveFlags, bucket: string): S3ExporterConfig {
  const { endpoint, region = S3_DEFAULTS.region, prefix = S3_DEFAULTS.prefix, caFile } = flags;
  const classes = Object.entries(RETENTION_CLASSES_DEFAULT);
  return {
    ...S3_DEFAULTS,
    name: 's3',
    type: 's3',
    retry: RETRY_DEFAULTS,
    bucket,
    region,
    prefix,
    path_style: flags.pathStyle === true,
    ...(endpoint !== undefined && { endpoint }),
    ...(caFile !== undefined && { tls: { ca_file: caFile, insecure_skip_verify: false } }),
    retain_days: Object.fromEntries(classes.map(([label, { days }]) => [label, days])),
  };
}
