/** `sealtrail verify`: whether a ledger, or the store, is what was sealed. */
import type { Command } from 'commander';
import { verifyLedger, type Verification } from '../ledger/verify.ts';
import { verifyStore } from '../store/verify-store.ts';
import { createProgress } from './progress.ts';

interface VerifyOptions {
  readonly store?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail verify ./data              every segment and stream of an agent's ledger
  $ sealtrail verify ./data --json | jq '.findings[]'
  $ sealtrail verify --store "$AUDITOR_URL"    the records of the PostgreSQL store that this login may see
                                         (leave the password out of the URL and in $PGPASSWORD, which other users cannot read)

Exit codes: 0 intact, 1 broken (each finding is named), 2 cannot tell.
It needs no agent and no key, and hashes with another implementation than the one that sealed.
A chain alone cannot show that its end was cut off: the verdict is "verified to seq n", never just "valid".`;

const FINDINGS_SHOWN = 50;

/** Adds the command. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('check hashes, links, order and bytes of a ledger folder, or of the store')
    .argument('[dir]', "an agent's data or ledger folder")
    .option('--store <url>', 'verify the PostgreSQL store behind this connection URL instead')
    .option('--json', 'print the whole verification as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (dir: string | undefined, options: VerifyOptions) => {
      process.exitCode = await runVerify(dir, options);
    });
}

async function runVerify(dir: string | undefined, options: VerifyOptions): Promise<number> {
  if ((dir === undefined) === (options.store === undefined)) {
    console.error('verify: name either a folder or --store URL; see `sealtrail verify --help`');
    return 2;
  }
  const progress = createProgress('verifying', options.store === undefined ? 'B' : 'records');
  const onProgress = progress.update;
  const verification =
    options.store === undefined
      ? await verifyLedger(dir ?? '', { onProgress })
      : await verifyStore({ url: options.store, onProgress });
  progress.end();
  if (options.json === true) console.log(JSON.stringify(verification, null, 2));
  else print(verification);
  return { intact: 0, broken: 1, cannot_tell: 2 }[verification.verdict];
}

function print(found: Verification): void {
  for (const finding of found.findings.slice(0, FINDINGS_SHOWN)) {
    const where = `${finding.segment}:${finding.line}`;
    const what = finding.stream === '' ? '' : ` stream ${finding.stream} seq ${finding.seq}`;
    const column = finding.column === undefined ? '' : ` column ${finding.column}`;
    console.log(`BROKEN  ${finding.kind}  ${where}${what}${column}\n        ${finding.message}`);
  }
  const hidden = found.findings_total - Math.min(found.findings.length, FINDINGS_SHOWN);
  if (hidden > 0)
    console.log(`… and ${hidden} more findings; --json lists ${found.findings.length} of all`);
  for (const gap of found.gaps) {
    console.log(
      `GAP     producer ${gap.producer}: numbers ${gap.after + 1} to ${gap.before - 1} never arrived (before ${gap.stream} seq ${gap.seq})`,
    );
  }
  for (const note of found.notes) console.log(`NOTE    ${note}`);
  for (const stream of found.streams) {
    const to =
      stream.verified_to === null ? 'nothing is verified' : `verified to seq ${stream.verified_to}`;
    const proven =
      stream.unproven === 0
        ? `${to}, head ${stream.head_hash.slice(0, 16)}…`
        : `${to}; nothing is proven of the ${stream.unproven} records from there on`;
    console.log(`stream  ${stream.stream}  ${proven}`);
  }
  const segments = found.segments === 0 ? '' : `${found.segments} segments, `;
  const size = `${found.records} records, ${segments}${found.bytes} bytes`;
  console.log(`${VERDICTS[found.verdict]}: ${size}`);
}

const VERDICTS: Readonly<Record<Verification['verdict'], string>> = {
  intact: 'intact',
  broken: 'BROKEN',
  cannot_tell: 'cannot tell',
};
