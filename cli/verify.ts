/** `sealtrail verify`: whether a ledger, or the store, is what was sealed. */
import { InvalidArgumentError, type Command } from 'commander';
import { availableParallelism } from 'node:os';
import type { Cover } from '../ledger/verify/known.ts';
import { verifyLedger, type Verification } from '../ledger/verify.ts';
import { verifyStore } from '../store/verify-store.ts';
import { withErasures } from './verify-erasures.ts';
import { printableJson, say } from './printable.ts';
import { createProgress } from './progress.ts';
import { readKnownOf, type KnownOptions } from './verify-known.ts';
import { parseZonedTime } from './zoned-time.ts';

interface VerifyOptions extends KnownOptions {
  readonly store?: string;
  readonly vault?: string;
  readonly stream?: string;
  readonly since?: string;
  readonly until?: string;
  readonly threads?: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail verify ./data              every segment and stream of an agent's ledger, and its checkpoints
  $ sealtrail verify ./data --trust keys.txt --policy policy.txt     and who signed them, and which anchors had them
  $ sealtrail verify ./data --since 2026-11-01T00:00:00Z             the segments with records from then on
  $ sealtrail verify ./data --json | jq '.findings[]'
  $ sealtrail verify --store "$AUDITOR_URL"    the records of the PostgreSQL store that this login may see
                                         (leave the password out of the URL and in $PGPASSWORD, which other users cannot read)
  $ sealtrail verify --store "$AUDITOR_URL" --checkpoints ./from-the-agent --trust keys.txt
  $ sealtrail verify --store "$AUDITOR_URL" --since 2026-11-01T00:00:00Z
  $ sealtrail verify --store "$AUDITOR_URL" --vault "$VAULT_URL"     and whether who was erased is on record, and forgotten
  $ sealtrail verify --store "$AUDITOR_URL" --checkpoints witnessed.note --receipts receipts.ndjson --trust keys.txt

What it is held against, beside itself:
  --checkpoints  an agent's data directory or its folder checkpoints; or files with a signed note each, or with a line
                 of JSON each that has it as \`note\`. Those beside a ledger are taken without asking.
  --receipts     files with a line of JSON each, as record() gave it: {"stream":…,"seq":…,"this_hash":…}
  --trust        the keys that may sign, as \`sealtrail check\` takes them; without it no signature is judged
  --policy       which anchors must have had it, as \`sealtrail check\` takes it

Exit codes: 0 intact, 1 broken (each finding is named), 2 cannot tell (unreadable; or a stream has no checkpoint that a
key of --trust has signed, or that the anchors of --policy had).
It needs no agent. A chain alone cannot show that its end was cut off, nor that all of it was sealed again: the verdict
is "verified to size n, anchored at T", never just "valid".`;

const FINDINGS_SHOWN = 50;
const OF_A_TIME =
  'segments of a ledger with records, or records of a store (and the hashes of the others), received';

/** Adds the command. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('check hashes, links, order and bytes of a ledger folder, or of the store')
    .argument('[dir]', "an agent's data or ledger folder")
    .option('--store <url>', 'verify the PostgreSQL store behind this connection URL instead')
    .option('--stream <name>', 'of the store: this stream only')
    .option('--since <time>', `only ${OF_A_TIME} from this time on`, parseZonedTime)
    .option('--until <time>', `only ${OF_A_TIME} before this time`, parseZonedTime)
    .option('--vault <url>', 'of a store: hold its erasures against this vault, as a resolver')
    .option('--checkpoints <path...>', 'checkpoints from elsewhere to hold it against')
    .option('--receipts <file...>', 'receipts to hold it against')
    .option('--trust <keys>', 'file with the keys that you trust, or a keys note')
    .option('--root <key>', 'public key of the root that signed the keys note, or a file with it')
    .option('--policy <file>', 'file with the anchors that must have had its checkpoints')
    .option(
      '--threads <n>',
      'threads that read, of a store each over a connection of its own; 0: over one, row by row (default: one a core)',
      parseThreads,
    )
    .option('--json', 'print the whole verification as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (dir: string | undefined, options: VerifyOptions) => {
      process.exitCode = await runVerify(dir, options);
    });
}

async function runVerify(dir: string | undefined, options: VerifyOptions): Promise<number> {
  const fault = findFault(dir, options);
  if (fault !== null) {
    console.error(`verify: ${fault}`);
    return 2;
  }
  const known = await readKnownOf(options, dir ?? null);
  if (!known.ok) {
    console.error(`verify: ${known.error}`);
    return 2;
  }
  const progress = createProgress('verifying', options.store === undefined ? 'B' : 'records');
  const settings = { known: known.value, onProgress: progress.update };
  const { store, stream, since, until, threads = availableParallelism() } = options;
  const range =
    since === undefined && until === undefined
      ? {}
      : { range: { since: since ?? null, until: until ?? null } };
  const of = {
    ...settings,
    ...range,
    ...(stream === undefined ? {} : { stream }),
    ...{ connections: threads, isThreaded: true },
  };
  const found =
    store === undefined
      ? await verifyLedger(dir ?? '', { ...settings, ...range, threads })
      : await verifyStore({ ...of, url: store });
  progress.end();
  const { vault } = options;
  const verification =
    store === undefined || vault === undefined ? found : await withErasures(found, store, vault);
  if (options.json === true) console.log(printableJson(verification, 2));
  else print(verification);
  return { intact: 0, broken: 1, cannot_tell: 2 }[verification.verdict];
}

function findFault(dir: string | undefined, options: VerifyOptions): string | null {
  const { store, stream, vault } = options;
  if ((dir === undefined) === (store === undefined))
    return 'name either a folder or --store URL; see `sealtrail verify --help`';
  if (store === undefined && stream !== undefined)
    return '--stream is of a store: the records of a ledger have to be read all the same';
  if (store === undefined && vault !== undefined)
    return '--vault is held against a store: name that with --store';
  return null;
}

function parseThreads(text: string): number {
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 0 || threads > 256)
    throw new InvalidArgumentError('It is no number of threads, 0 to 256.');
  return threads;
}

function print(found: Verification): void {
  for (const finding of found.findings.slice(0, FINDINGS_SHOWN)) {
    const where = `${finding.segment}:${finding.line}`;
    const what = finding.stream === '' ? '' : ` stream ${finding.stream} seq ${finding.seq}`;
    const column = finding.column === undefined ? '' : ` column ${finding.column}`;
    say(`BROKEN  ${finding.kind}  ${where}${what}${column}`);
    say(`        ${finding.message}`);
  }
  const hidden = found.findings_total - Math.min(found.findings.length, FINDINGS_SHOWN);
  if (hidden > 0)
    say(`… and ${hidden} more findings; --json lists ${found.findings.length} of all`);
  for (const gap of found.gaps) {
    say(
      `GAP     producer ${gap.producer}: numbers ${gap.after + 1} to ${gap.before - 1} never arrived (before ${gap.stream} seq ${gap.seq})`,
    );
  }
  for (const note of found.notes) say(`NOTE    ${note}`);
  for (const stream of found.streams) {
    const to =
      stream.verified_to === null ? 'nothing is verified' : `verified to seq ${stream.verified_to}`;
    const proven =
      stream.unproven === 0
        ? `${to}, head ${stream.head_hash.slice(0, 16)}…`
        : `${to}; nothing is proven of the ${stream.unproven} records from there on`;
    say(`stream  ${stream.stream}  ${proven}`);
    if (stream.cover !== null) say(`        ${describeCover(stream.cover)}`);
  }
  const segments = found.segments === 0 ? '' : `${found.segments} segments, `;
  const size = `${found.records} records, ${segments}${found.bytes} bytes`;
  say(`${VERDICTS[found.verdict]}: ${size}`);
}

function describeCover({ fits_to, signed_to, anchored }: Cover): string {
  if (fits_to === null) return 'no checkpoint of it fits';
  const signed =
    signed_to === null
      ? `fits its checkpoints up to size ${fits_to}, whose signatures were not judged or are of no trusted key`
      : `verified to size ${signed_to}`;
  return anchored === null
    ? signed
    : `${signed}, anchored at ${anchored.time} by ${anchored.by.join(', ')} up to size ${anchored.size}`;
}

const VERDICTS: Readonly<Record<Verification['verdict'], string>> = {
  intact: 'intact',
  broken: 'BROKEN',
  cannot_tell: 'cannot tell',
};
