/** `sealtrail restore`: rebuilds a store of record, or a folder to verify, from the archive alone. */
import type { Command } from 'commander';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { ok } from '../schemas/result.ts';
import { createArchiveClient } from '../store/archive/client.ts';
import { createFolderTarget, createStoreTarget } from '../store/archive/restore-targets.ts';
import type { Restoration, RestoreTarget } from '../store/archive/restoration.ts';
import { restoreArchive } from '../store/archive/restore.ts';
import {
  addArchiveOptions,
  ARCHIVE_TIMEOUT_MS,
  CREDENTIALS_HELP,
  findArchive,
  type ArchiveFlags,
} from './archive-address.ts';
import { say } from './printable.ts';
import { createProgress } from './progress.ts';
import { readTrust } from './trust-file.ts';
import { parseZonedTime } from './zoned-time.ts';

interface RestoreFlags extends ArchiveFlags {
  readonly store?: string;
  readonly ownerUrl?: string;
  readonly out?: string;
  readonly check?: boolean;
  readonly trust?: string;
  readonly root?: string;
  readonly agent?: string;
  readonly asOf?: Date;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail restore --check --trust keys.txt               reads and proves the archive, writes nothing
  $ sealtrail restore --store "$WRITER_URL" --owner-url "$OWNER_URL" --trust keys.txt
                                                             into a fresh PostgreSQL whose roles are made (docs/STORE.md)
  $ sealtrail restore --out ./restored --trust keys.txt && sealtrail verify ./restored
  $ sealtrail restore --as-of 2026-11-01T00:00:00Z --out ./restored --trust keys.txt     before somebody put there what he liked
  $ sealtrail restore --bucket audit-archive --region eu-central-1 --out ./restored     on a host without an agent

Every record, chain and checkpoint is proven on the way. Of a stream against which anything speaks, nothing is
restored from there on. Stopped in between, it goes on when it is run again. Without --trust no signature is
verified: the archive is then consistent with itself, and no more is said. With it, records that no trusted key has
signed are named, and nobody can tell whether they are genuine (2).
${CREDENTIALS_HELP}
Exit codes: 0 whole and proven, 1 something was changed, removed or added (each object is named), 2 cannot tell.`;

const FINDINGS_SHOWN = 50;

/** Adds the command. */
export function addRestoreCommand(program: Command): void {
  addArchiveOptions(
    program.command('restore').description('rebuild a store, or a ledger, from the archive alone'),
  )
    .option('--store <url>', 'into the PostgreSQL behind this connection URL of the writer role')
    .option('--owner-url <url>', 'with --store: migrate it first, as this role')
    .option('--out <dir>', 'into a folder of segments')
    .option('--check', 'nowhere: only prove the archive')
    .option('--trust <keys>', 'keys that checkpoints must be signed with: a file, or a keys note')
    .option(
      '--root <key>',
      'with a keys note: public key of the root that signed it, or a file with it',
    )
    .option('--agent <name>', 'only the records of this agent')
    .option(
      '--as-of <time>',
      'the archive as it stood then: of what was put later nothing is read',
      (text) => new Date(parseZonedTime(text)),
    )
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: RestoreFlags) => {
      process.exitCode = await runRestore(flags);
    });
}

async function runRestore(flags: RestoreFlags): Promise<number> {
  const fail = (message: string): number => {
    if (flags.json === true)
      console.log(JSON.stringify({ verdict: 'cannot_tell', error: message }));
    else console.error(`restore: ${message}`);
    return 2;
  };
  const { store, ownerUrl, out } = flags;
  if ([store, out, flags.check].filter((one) => one !== undefined).length !== 1)
    return fail('name one of --store URL, --out DIR and --check; see `sealtrail restore --help`');
  const trust = flags.trust === undefined ? ok(null) : await readTrust(flags.trust, flags.root);
  if (!trust.ok) return fail(trust.error);
  const archive = await findArchive(flags, process.env);
  if (!archive.ok) return fail(archive.error);
  const timeoutMs = Math.max(archive.value.timeout_ms, ARCHIVE_TIMEOUT_MS);
  const client = createArchiveClient(archive.value, { timeoutMs });
  const progress = createProgress('restoring', 'B');
  const found = await restoreArchive({
    client,
    trust: trust.value,
    target: targetOf(store, ownerUrl, out),
    nowMs: Date.now,
    onProgress: progress.update,
    ...(flags.agent !== undefined && { agent: flags.agent }),
    ...(flags.asOf !== undefined && { asOf: flags.asOf }),
  });
  progress.end();
  client.close();
  if (flags.json === true) console.log(JSON.stringify(found, null, 2));
  else print(found);
  return { intact: 0, broken: 1, cannot_tell: 2 }[found.verdict];
}

function targetOf(
  url: string | undefined,
  ownerUrl: string | undefined,
  out: string | undefined,
): RestoreTarget | null {
  if (url !== undefined)
    return createStoreTarget({ url, ...(ownerUrl !== undefined && { ownerUrl }) });
  return out === undefined ? null : createFolderTarget(nodeFilesystem, out);
}

function print(found: Restoration): void {
  for (const { kind, object, line, message } of found.findings.slice(0, FINDINGS_SHOWN)) {
    say(`BROKEN  ${kind}  ${object}${line === undefined ? '' : `:${line}`}`);
    say(`        ${message}`);
  }
  const hidden = found.findings.length - FINDINGS_SHOWN;
  if (hidden > 0) say(`… and ${hidden} more findings; --json lists all`);
  for (const note of found.notes) say(`NOTE    ${note}`);
  for (const { stream, records, verified_to, checkpointed } of found.streams) {
    const chain = verified_to === null ? 'nothing is verified' : `verified to seq ${verified_to}`;
    const signed = found.is_trusted ? 'signed checkpoints' : 'checkpoints of nobody (no --trust)';
    say(`stream  ${stream}  ${chain}, ${checkpointed} of ${records} records under ${signed}`);
  }
  const present = found.present === 0 ? '' : `, ${found.present} were there`;
  say(
    `${found.verdict.replace('_', ' ')}: ${found.records} records in ${found.objects} objects, ${found.restored} restored${present}`,
  );
}
