/** `sealtrail archive`: what the archive holds, how it is locked, and legal holds on its objects. */
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import type { S3ExporterConfig } from '../schemas/archive-config.ts';
import { openObject, readCatalog } from '../store/archive/catalog.ts';
import { ArchiveError, createArchiveClient, type ArchiveClient } from '../store/archive/client.ts';
import { addHold, findFault, liftHold, listHolds, selectObjects } from '../store/archive/holds.ts';
import { parseManifest } from '../store/archive/manifest.ts';
import { headObject, requireObjectLock } from '../store/archive/objects.ts';
import {
  addArchiveOptions,
  CREDENTIALS_HELP,
  findArchive,
  type ArchiveFlags,
} from './archive-address.ts';

interface Flags extends ArchiveFlags {
  readonly json?: boolean;
  readonly matter?: string;
  readonly reason?: string;
  readonly by?: string;
  readonly tenant?: string;
  readonly class?: string;
  readonly from?: string;
  readonly to?: string;
}

/** What a command says: lines for a person, a value for a program. */
interface Said {
  readonly value: object;
  readonly lines: readonly string[];
  /** Default 0. */
  readonly code?: number;
}

const EXAMPLES = `
Examples:
  $ sealtrail archive status                  the bucket's lock, how much there is, until when, what is held
  $ sealtrail archive list --class health --from 2026-01-01 --json
  $ sealtrail archive hold add --matter case-2026-17 --tenant acme --reason "letter of 3 March"
  $ sealtrail archive hold list --json
  $ sealtrail archive hold lift --matter case-2026-17 --reason "settled"
${CREDENTIALS_HELP} Holds need s3:PutObjectLegalHold, which the agent's user does not.
Exit codes: 0 done, 1 the answer is no (no Object Lock, no such matter), 2 the server or the configuration does not answer.`;

/** Adds the commands. */
export function addArchiveCommand(program: Command): void {
  const archive = program
    .command('archive')
    .description('the archive under Object Lock: what it holds, and legal holds')
    .addHelpText('after', EXAMPLES);
  add(archive.command('status').description('lock of the bucket, amount, holds'), sayStatus);
  add(
    withFilter(archive.command('list').description('segments, and how they are locked')),
    sayList,
  );
  const hold = archive.command('hold').description('legal holds on objects, by matter');
  const matter = (command: Command): Command =>
    command
      .requiredOption('--matter <id>', 'the matter')
      .requiredOption('--reason <text>', 'why; kept in the archive')
      .option('--by <name>', 'who; default: the user of this shell');
  add(
    matter(withFilter(hold.command('add').description('no object of the filter may go'))),
    sayHoldAdd,
  );
  add(matter(hold.command('lift').description('free what no other matter holds')), sayHoldLift);
  add(hold.command('list').description('matters that hold objects'), sayHolds);
}

function withFilter(command: Command): Command {
  return command
    .option('--tenant <id>', 'objects with a record of this tenant')
    .option('--class <name>', 'objects of this retention class')
    .option('--from <time>', 'with a record received from then on, ISO 8601')
    .option('--to <time>', 'with a record received before that, ISO 8601');
}

function add(
  command: Command,
  say: (client: ArchiveClient, config: S3ExporterConfig, flags: Flags) => Promise<Said>,
): void {
  addArchiveOptions(command)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags) => {
      process.exitCode = await runArchive(flags, say);
    });
}

async function runArchive(flags: Flags, say: Parameters<typeof add>[1]): Promise<number> {
  const fail = (code: number, message: string): number => {
    if (flags.json === true) console.log(JSON.stringify({ ok: false, error: message }));
    else console.error(`archive: ${message}`);
    return code;
  };
  const found = await findArchive(flags, process.env);
  if (!found.ok) return fail(2, found.error);
  const client = createArchiveClient(found.value, { timeoutMs: found.value.timeout_ms });
  try {
    const said = await say(client, found.value, flags);
    if (flags.json === true) console.log(JSON.stringify(said.value));
    else for (const line of said.lines) console.log(line);
    return said.code ?? 0;
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    return fail(error.code === 'ObjectLockConfigurationNotFoundError' ? 1 : 2, error.message);
  } finally {
    client.close();
  }
}

function filterOf({ tenant, class: label, from, to }: Flags): Parameters<typeof selectObjects>[1] {
  return {
    ...(tenant !== undefined && { tenant }),
    ...(label !== undefined && { label }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

async function sayStatus(
  client: ArchiveClient,
  { bucket, lock_mode }: S3ExporterConfig,
): Promise<Said> {
  const retention = await requireObjectLock(client);
  const { objects } = await readCatalog(client);
  const holds = await listHolds(client);
  let bytes = 0;
  let to = 0;
  for (const object of objects.values()) {
    bytes += object.versions[0]?.bytes ?? 0;
    if (object.named.kind !== 'manifest') continue;
    const opened = await openObject(client, object);
    const manifest = opened.ok ? parseManifest(opened.value.content.toString('utf8')) : null;
    to = Math.max(to, manifest?.to ?? 0);
  }
  const value = { ok: true, bucket, lock_mode, default_retention: retention };
  const amount = { objects: objects.size, bytes, records_to: to, holds: holds.length };
  return {
    value: { ...value, ...amount },
    lines: [
      `bucket ${bucket}: Object Lock is on, by default ${retention ?? 'no retention'}; the exporter locks in ${lock_mode} mode`,
      `${objects.size} objects, ${bytes} bytes, records up to ${to}, ${holds.length} legal holds`,
    ],
  };
}

async function sayList(
  client: ArchiveClient,
  _config: S3ExporterConfig,
  flags: Flags,
): Promise<Said> {
  const fault = findFault(filterOf(flags));
  if (fault !== null) return no(fault);
  const keys = await selectObjects(client, filterOf(flags));
  const objects: object[] = [];
  const lines: string[] = [];
  for (const key of keys) {
    const head = await headObject(client, key);
    const until = head?.retainUntil?.toISOString() ?? null;
    const mode = head?.mode ?? null;
    const isHeld = head?.isHeld ?? false;
    objects.push({ key, bytes: head?.bytes ?? null, mode, retain_until: until, held: isHeld });
    lines.push(
      head === null
        ? `HIDDEN OR GONE  ${key}`
        : `${mode ?? 'NOT LOCKED'} until ${until ?? '-'}${isHeld ? ', held' : ''}  ${head.bytes} bytes  ${key}`,
    );
  }
  return { value: { ok: true, objects }, lines };
}

const holdOptions = (client: ArchiveClient, config: S3ExporterConfig) => ({
  client,
  lock: config,
  retainDays: Math.max(...Object.values(config.retain_days)),
  nowMs: Date.now,
});

const no = (message: string): Said => ({
  value: { ok: false, error: message },
  lines: [`archive: ${message}`],
  code: 1,
});

async function sayHoldAdd(
  client: ArchiveClient,
  config: S3ExporterConfig,
  flags: Flags,
): Promise<Said> {
  const { matter = '', reason = '', by = userInfo().username } = flags;
  const hold = { matter, reason, by, filter: filterOf(flags) };
  const done = await addHold(holdOptions(client, config), hold);
  if (!done.ok) return no(done.error);
  return {
    value: { ok: true, ...done.value },
    lines: [`${done.value.objects} objects are held for ${matter}`],
  };
}

async function sayHoldLift(
  client: ArchiveClient,
  config: S3ExporterConfig,
  flags: Flags,
): Promise<Said> {
  const { matter = '', reason = '', by = userInfo().username } = flags;
  const done = await liftHold(holdOptions(client, config), { matter, reason, by });
  if (!done.ok) return no(done.error);
  const { objects, kept } = done.value;
  return {
    value: { ok: true, objects, kept },
    lines: [`${objects} objects are free of ${matter}, ${kept} stay held by other matters`],
  };
}

async function sayHolds(client: ArchiveClient): Promise<Said> {
  const holds = await listHolds(client);
  return {
    value: { ok: true, holds },
    lines: holds.map(
      ({ matter, at, by, reason, filter }) =>
        `${matter}  since ${at} by ${by}: ${reason}  ${JSON.stringify(filter)}`,
    ),
  };
}
