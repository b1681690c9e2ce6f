/** `sealtrail setup archive`: the bucket that an exporter of type s3 writes to, or what an administrator must do. */
import type { Command } from 'commander';
import type { S3ExporterConfig } from '../schemas/archive-config.ts';
import { ArchiveError, createArchiveClient } from '../store/archive/client.ts';
import {
  lifecycleOf,
  setupArchive,
  STORAGE_CLASSES,
  writerPolicyOf,
} from '../store/archive/setup.ts';
import {
  addArchiveOptions,
  CREDENTIALS_HELP,
  findArchive,
  type ArchiveFlags,
} from './archive-address.ts';

interface Flags extends ArchiveFlags {
  readonly defaultDays: string;
  readonly coldAfterDays: string;
  readonly storageClass: string;
  readonly policy?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail setup archive --dry-run                        what would be done, and every document; asks nobody
  $ SEALTRAIL_SETUP_ACCESS_KEY_ID=… SEALTRAIL_SETUP_SECRET_ACCESS_KEY=… sealtrail setup archive
  $ sealtrail setup archive --cold-after-days 365 --storage-class DEEP_ARCHIVE
  $ sealtrail setup archive --policy                         the rights of the agent's user, as an IAM policy

Makes the bucket with Object Lock, a default retention, and a lifecycle that moves segments to cold storage with
their locks and deletes nothing. Run it again at any time.
Default credentials: $SEALTRAIL_SETUP_ACCESS_KEY_ID and $SEALTRAIL_SETUP_SECRET_ACCESS_KEY; without them:
${CREDENTIALS_HELP}
Exit codes: 0 done, 1 the server refused, or the bucket is there without Object Lock, 2 no answer or no such exporter.`;

/** Adds the command below \`setup\`. */
export function addArchiveSetup(setup: Command): void {
  addArchiveOptions(
    setup.command('archive').description('bucket with Object Lock, default retention, lifecycle'),
  )
    .option('--default-days <n>', 'retention of what is put without a lock of its own', '1')
    .option('--cold-after-days <n>', 'when segments go to cold storage', '90')
    .option('--storage-class <name>', STORAGE_CLASSES.join(', '), 'GLACIER')
    .option('--policy', "print the policy of the agent's user, and do nothing")
    .option('--dry-run', 'print what would be done, and every document')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags) => {
      process.exitCode = await runSetup(flags);
    });
}

async function runSetup(flags: Flags): Promise<number> {
  const fail = (code: number, message: string): number => {
    if (flags.json === true) console.log(JSON.stringify({ ok: false, error: message }));
    else console.error(`setup archive: ${message}`);
    return code;
  };
  const [defaultDays, coldAfterDays] = [flags.defaultDays, flags.coldAfterDays].map((text) =>
    /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0,
  );
  if (defaultDays === undefined || coldAfterDays === undefined || defaultDays * coldAfterDays === 0)
    return fail(2, '--default-days and --cold-after-days take a whole number from 1 on');
  if (!STORAGE_CLASSES.some((one) => one === flags.storageClass))
    return fail(2, `--storage-class is one of ${STORAGE_CLASSES.join(', ')}`);
  const found = await findArchive(flags, process.env);
  if (!found.ok) return fail(2, found.error);
  const lifecycle = { coldAfterDays, storageClass: flags.storageClass };
  const documents = {
    policy: writerPolicyOf(found.value),
    lifecycle: lifecycleOf(found.value, lifecycle),
    retention: { mode: found.value.lock_mode, days: defaultDays },
  };
  if (flags.policy === true) {
    console.log(JSON.stringify(documents.policy, null, 2));
    return 0;
  }
  if (flags.dryRun === true) {
    print(flags, { ok: true, dry_run: true, ...documents }, describe(found.value, documents));
    return 0;
  }
  const client = createArchiveClient(asAdmin(found.value), { timeoutMs: found.value.timeout_ms });
  try {
    const steps = await setupArchive({ client, lock: found.value, defaultDays, lifecycle });
    const lines = steps.map(({ what, done }) => `  ${what.padEnd(10)} ${done}`);
    print(flags, { ok: true, steps }, [`bucket ${found.value.bucket}`, ...lines]);
    return 0;
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    return fail(error.status === 0 ? 2 : 1, error.message);
  } finally {
    client.close();
  }
}

function print(flags: Flags, value: object, lines: readonly string[]): void {
  if (flags.json === true) console.log(JSON.stringify(value));
  else for (const line of lines) console.log(line);
}

function describe(
  { bucket }: S3ExporterConfig,
  documents: Readonly<Record<string, object>>,
): string[] {
  return [
    `An administrator makes bucket ${bucket} with Object Lock (which cannot be switched on everywhere later), and then:`,
    ...Object.entries(documents).map(
      ([name, document]) => `\n${name}:\n${JSON.stringify(document, null, 2)}`,
    ),
  ];
}

/** Who may make buckets is somebody else than who writes to them. */
function asAdmin(config: S3ExporterConfig): S3ExporterConfig {
  const id = process.env['SEALTRAIL_SETUP_ACCESS_KEY_ID'];
  const secret = process.env['SEALTRAIL_SETUP_SECRET_ACCESS_KEY'];
  if (id === undefined || secret === undefined) return config;
  return { ...config, access_key_id: id, secret_access_key: secret };
}
