/** `sealtrail subject`: from a token to the person, on record; and from a person to the tokens. */
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { lookupOf, openIdentity } from '../redaction/subjects/envelope.ts';
import {
  isSubjectToken,
  normalizeIdentity,
  SUBJECT_PURPOSES,
} from '../redaction/subjects/identity.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { readTokens, readSubject, type StoredSubject } from '../store/vault/subjects.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { openAudit, type RecordingOptions } from './recording.ts';
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

interface SubjectOptions extends Omit<RecordingOptions, 'service'> {
  readonly url?: string;
  readonly keys: string;
  readonly reason: string;
  readonly by: string;
  readonly json?: boolean;
}

const RESOLVE_EXAMPLES = `
Examples:
  $ sealtrail subject resolve sub_7qk4… --reason "case 2291"

That you asked is recorded (subject.resolve) before the answer is shown: without a running agent there is none.
Needs the private keys, and a member of sealtrail_vault_resolver.
Exit codes: 0 resolved, 1 the token stands for nobody (erased, or never given), 2 it could not be asked.`;

const TOKENS_EXAMPLES = `
Examples:
  $ sealtrail subject tokens --tenant acme < identity.txt     to look for a person's events (Art. 15), or to erase

The identity comes from standard input, for other users can read a command line. A person has one token as actor
and another as subject. Exit codes: 0 there are some, 1 the vault does not know the person, 2 it could not be asked.`;

/** Adds the commands. */
export function addSubjectCommand(program: Command): void {
  const subject = program.command('subject').description('people behind tokens, and their tokens');
  subject
    .command('resolve')
    .description('print the person that a token stands for, and record that it was asked')
    .argument('<token>', 'sub_…')
    .requiredOption('--reason <text>', 'why; goes on record. A case number, no names')
    .option('--by <name>', 'who asks', userInfo().username)
    .option(URL_OPTION, URL_HELP)
    .option(KEYS_OPTION, KEYS_HELP, defaultKeyFile())
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--vocabulary <file>', "vocabulary file (default: the running agent's)")
    .option('--json', 'print it as JSON')
    .addHelpText('after', RESOLVE_EXAMPLES)
    .action(async (token: string, options: SubjectOptions) => {
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
    .action(async (options: SubjectOptions) => {
      process.exitCode = await runTokens(options);
    });
}

async function runResolve(token: string, options: SubjectOptions): Promise<number> {
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
  options: SubjectOptions,
): Promise<Result<void, string>> {
  const audit = await openAudit(
    { ...options, tenant, service: 'sealtrail-vault' },
    'subject.resolve',
  );
  if (!audit.ok) return audit;
  try {
    await audit.value.record({
      action: 'subject.resolve',
      outcome: 'success',
      actor: { type: 'admin', id: options.by, name: options.by },
      resource: { type: 'subject', id: token, tenant_id: tenant },
      metadata: { purpose, reason: options.reason },
    });
    return ok(undefined);
  } catch (error) {
    return err(`it is not on record, so there is no answer: ${messageOf(error)}`);
  } finally {
    await audit.value.close();
  }
}

async function runTokens({ url, keys, tenant, json }: SubjectOptions): Promise<number> {
  const identity = await readStandardInput();
  if (!identity.ok) return fail('subject tokens', identity.error);
  const tokens = await tokensOf({ url, keys, tenant }, identity.value);
  if (!tokens.ok) return fail('subject tokens', tokens.error);
  if (json === true) console.log(JSON.stringify({ tokens: tokens.value }));
  else for (const token of tokens.value) console.log(token);
  return tokens.value.length > 0 ? 0 : 1;
}

/** All tokens of a person in a tenant, under whichever key. */
export async function tokensOf(
  vault: {
    readonly url?: string | undefined;
    readonly keys: string;
    readonly tenant: string;
    readonly purpose?: string | undefined;
  },
  identity: string,
): Promise<Result<readonly string[], string>> {
  const normalized = normalizeIdentity(identity);
  if (!normalized.ok) return err(`the identity ${normalized.error}`);
  const ring = await readKeyFile(vault.keys);
  if (!ring.ok) return ring;
  const purposes = SUBJECT_PURPOSES.filter((one) => (vault.purpose ?? one) === one);
  const lookups = purposes.flatMap((purpose) =>
    ring.value.map((key) => lookupOf(key, { tenant: vault.tenant, purpose }, normalized.value)),
  );
  return withVault(vault.url, async (client) => ok(await readTokens(client, lookups)));
}
