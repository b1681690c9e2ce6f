/** `sealtrail subject`: from a token to the person, on record; and from a person to the tokens. */
import type { Command } from 'commander';
import { openIdentity } from '../redaction/subjects/envelope.ts';
import { isSubjectToken } from '../redaction/subjects/identity.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { readSubject, type StoredSubject } from '../store/vault/subjects.ts';
import {
  findTokens,
  openActs,
  recordAct,
  withActOptions,
  type SubjectActOptions,
} from './subject-acts.ts';
import { defaultKeyFile, readKeyFile } from './vault-files.ts';
import {
  fail,
  KEYS_HELP,
  KEYS_OPTION,
  readStandardInput,
  URL_HELP,
  URL_OPTION,
  withVault,
} from './vault-options.ts';

const RESOLVE_EXAMPLES = `
Examples:
  $ sealtrail subject resolve sub_7qk4… --reason "case 2291"

That you asked is recorded (subject.resolve) before the answer is shown: without a running agent there is none.
Needs the private keys, and a member of sealtrail_vault_resolver.
Exit codes: 0 resolved, 1 the token stands for nobody (erased, or never given), 2 it could not be asked.`;

const TOKENS_EXAMPLES = `
Examples:
  $ sealtrail subject tokens --tenant acme < identity.txt     to look for a person's events (Art. 15), or to erase

As a member of sealtrail_vault_resolver or sealtrail_vault_eraser. The identity comes from standard input, for other users can read a command line. A person has one token as actor
and another as subject. Exit codes: 0 there are some, 1 the vault does not know the person, 2 it could not be asked.`;

/** Adds the commands. */
export function addSubjectCommand(program: Command): void {
  const subject = program.command('subject').description('people behind tokens, and their tokens');
  withActOptions(
    subject
      .command('resolve')
      .description('print the person that a token stands for, and record that it was asked')
      .argument('<token>', 'sub_…'),
  )
    .option('--json', 'print it as JSON')
    .addHelpText('after', RESOLVE_EXAMPLES)
    .action(async (token: string, options: SubjectActOptions) => {
      process.exitCode = await runResolve(token, options);
    });
  subject
    .command('tokens')
    .description('print the tokens of a person whose identity is on standard input')
    .requiredOption('--tenant <id>', 'whose events')
    .option(URL_OPTION, URL_HELP)
    .option(KEYS_OPTION, `${KEYS_HELP}, or that of applications`, defaultKeyFile())
    .option('--json', 'print {tokens}')
    .addHelpText('after', TOKENS_EXAMPLES)
    .action(async (options: SubjectActOptions) => {
      process.exitCode = await runTokens(options);
    });
}

async function runResolve(token: string, options: SubjectActOptions): Promise<number> {
  if (!isSubjectToken(token)) return fail('subject resolve', 'that is no subject token');
  const ring = await readKeyFile(options.keys);
  if (!ring.ok) return fail('subject resolve', ring.error);
  const found = await withVault(options.url, async (client) =>
    ok(await readSubject(client, token)),
  );
  if (!found.ok) return fail('subject resolve', found.error);
  const subject = found.value;
  if (subject === null) {
    console.error(`subject resolve: ${token} stands for nobody: erased, or never given`);
    return 1;
  }
  const recorded = await recordResolution(subject, options);
  if (!recorded.ok) return fail('subject resolve', recorded.error);
  try {
    const identity = openIdentity(ring.value, subject, subject);
    const { tenant, purpose } = subject;
    if (options.json === true) console.log(JSON.stringify({ token, tenant, purpose, identity }));
    else console.log(identity);
    return 0;
  } catch (error) {
    return fail('subject resolve', messageOf(error));
  }
}

async function recordResolution(
  { token, tenant, purpose }: StoredSubject,
  options: SubjectActOptions,
): Promise<Result<void, string>> {
  const audit = await openActs({ ...options, tenant }, 'subject.resolve');
  if (!audit.ok) return audit;
  const { by, reason } = options;
  const act = {
    action: 'subject.resolve',
    outcome: 'success',
    metadata: { purpose, reason },
  } as const;
  const recorded = await recordAct(audit.value, act, { by, token, tenant });
  await audit.value.close();
  return recorded.ok
    ? recorded
    : err(`it is not on record, so there is no answer: ${recorded.error}`);
}

async function runTokens({ url, keys, tenant, json }: SubjectActOptions): Promise<number> {
  const identity = await readStandardInput();
  if (!identity.ok) return fail('subject tokens', identity.error);
  const tokens = await withVault(url, (client) =>
    findTokens(client, { keys, tenant }, identity.value),
  );
  if (!tokens.ok) return fail('subject tokens', tokens.error);
  if (json === true) console.log(JSON.stringify({ tokens: tokens.value }));
  else for (const token of tokens.value) console.log(token);
  return tokens.value.length > 0 ? 0 : 1;
}
