/**
 * `sealtrail erase`: forgets a person. Mapping and data key go in one transaction with a note; then the event is
 * recorded, and the note is settled. Whatever dies in between, the next run ends it: the event's id is in the note.
 */
import { userInfo } from 'node:os';
import type { Client } from 'pg';
import type { Command } from 'commander';
import { ulid } from 'ulid';
import { isSubjectToken, SUBJECT_PURPOSES } from '../redaction/subjects/identity.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { Audit } from '../sdk/index.ts';
import {
  eraseSubject,
  findErasure,
  markRecorded,
  pendingErasures,
  readBackupsUntil,
  type Erasure,
} from '../store/vault/erasures.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { openAudit, type RecordingOptions } from './recording.ts';
import { tokensOf } from './subject.ts';
import { defaultKeyFile } from './vault-files.ts';
import {
  fail,
  KEYS_HELP,
  KEYS_OPTION,
  readStandardInput,
  URL_HELP,
  URL_OPTION,
  withVault,
} from './vault-options.ts';

interface EraseOptions extends Omit<RecordingOptions, 'service'> {
  readonly url?: string;
  readonly keys: string;
  readonly subject?: string;
  readonly identity?: string | true;
  readonly purpose?: string;
  readonly reason: string;
  readonly by: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail erase --identity --tenant acme --reason "DSR-118" < identity.txt     the person, in every part
  $ sealtrail erase --subject sub_7qk4… --tenant acme --reason "DSR-118"           this token only
  $ sealtrail erase --identity --purpose subject --tenant acme --reason "DSR-118"  not as actor (Art. 17(3)(b))

Records stay, and verify as before: their tokens lead to nobody any more. An event subject.erase says that it was
done, by whom and why. Run it again after a crash: it ends what was begun. Before you erase: is the person under a
legal hold, or does a law ask you to keep who it was? docs/ERASURE.md
Needs a running agent, and a member of sealtrail_vault_eraser; --identity needs a key file, that of applications will do.
Exit codes: 0 erased (now or before), 1 there is no such person, 2 not done, or done and not on record: run it again.`;

/** Adds the command. */
export function addEraseCommand(program: Command): void {
  program
    .command('erase')
    .description('forget a person: the records stay, their tokens lead to nobody')
    .option('--subject <token>', 'this token')
    .option('--identity [text]', 'this person; without text, the one on standard input (better)')
    .option('--purpose <name>', `with --identity: only as ${SUBJECT_PURPOSES.join(' or ')}`)
    .requiredOption('--tenant <id>', 'whose records')
    .requiredOption('--reason <text>', 'why; goes on record. A ticket, no names')
    .option('--by <name>', 'who erases', userInfo().username)
    .option(URL_OPTION, URL_HELP)
    .option(KEYS_OPTION, KEYS_HELP, defaultKeyFile())
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--vocabulary <file>', "vocabulary file (default: the running agent's)")
    .option('--json', 'print {erased, erased_before, backups_until}')
    .addHelpText('after', EXAMPLES)
    .action(async (options: EraseOptions) => {
      process.exitCode = await runErase(options);
    });
}

interface Outcome {
  readonly erased: readonly string[];
  readonly erasedBefore: readonly string[];
  readonly backupsUntil: Date | null;
}

async function runErase(options: EraseOptions): Promise<number> {
  const tokens = await findTargets(options);
  if (!tokens.ok) return fail('erase', tokens.error);
  // First of all, since nothing is to be erased of which there could be no record.
  const audit = await openAudit({ ...options, service: 'sealtrail-vault' }, 'subject.erase');
  if (!audit.ok) return fail('erase', audit.error);
  try {
    const done = await withVault(options.url, (client) =>
      eraseAll(client, audit.value, tokens.value, options),
    );
    return done.ok ? conclude(done.value, options) : fail('erase', done.error);
  } finally {
    await audit.value.close();
  }
}

async function findTargets(options: EraseOptions): Promise<Result<readonly string[], string>> {
  const { subject, identity, purpose, reason } = options;
  if ((subject === undefined) === (identity === undefined))
    return err('name the person by --subject or by --identity');
  if (purpose !== undefined && !SUBJECT_PURPOSES.some((one) => one === purpose))
    return err(`--purpose is ${SUBJECT_PURPOSES.join(' or ')}`);
  // It stays for good, in the vault and in the trail.
  if (reason.includes('@')) return err('--reason must not name the person; give the ticket');
  if (subject !== undefined)
    return isSubjectToken(subject) ? ok([subject]) : err('--subject is no subject token');
  const named = typeof identity === 'string' ? ok(identity) : await readStandardInput();
  return named.ok ? tokensOf(options, named.value) : named;
}

async function eraseAll(
  client: Client,
  audit: Audit,
  tokens: readonly string[],
  { tenant, by: requestedBy, reason }: EraseOptions,
): Promise<Result<Outcome, string>> {
  const erased: string[] = [];
  const erasedBefore: string[] = [];
  for (const token of tokens) {
    const request = { token, tenant, requestedBy, reason, eventId: ulid() };
    const gone = await eraseSubject(client, request);
    if (gone !== null) erased.push(token);
    else if ((await findErasure(client, token))?.tenant === tenant) erasedBefore.push(token);
  }
  // Those of a run that died as well.
  for (const erasure of await pendingErasures(client)) {
    const recorded = await recordErasure(audit, erasure);
    if (!recorded.ok) return recorded;
    await markRecorded(client, erasure.eventId);
  }
  return ok({ erased, erasedBefore, backupsUntil: await readBackupsUntil(client) });
}

async function recordErasure(audit: Audit, erasure: Erasure): Promise<Result<void, string>> {
  const { eventId, token, tenant, purpose, keyVersion, requestedBy, reason, erasedAt } = erasure;
  try {
    await audit.record({
      event_id: eventId,
      time: erasedAt,
      action: 'subject.erase',
      outcome: 'success',
      actor: { type: 'admin', id: requestedBy, name: requestedBy },
      resource: { type: 'subject', id: token, tenant_id: tenant },
      metadata: { subject_token: token, purpose, key_version: keyVersion, reason },
    });
    return ok(undefined);
  } catch (error) {
    return err(
      `${token} is erased, and that is not on record yet: ${messageOf(error)}. Run it again`,
    );
  }
}

function conclude({ erased, erasedBefore, backupsUntil }: Outcome, { json }: EraseOptions): number {
  const until = backupsUntil?.toISOString() ?? null;
  if (json === true)
    console.log(JSON.stringify({ erased, erased_before: erasedBefore, backups_until: until }));
  else {
    for (const token of erased) console.log(`${token} erased`);
    for (const token of erasedBefore) console.log(`${token} was erased before`);
    if (erased.length > 0 && until !== null)
      console.log(`Backups of the vault can be read until its keys are destroyed: ${until}`);
  }
  if (erased.length + erasedBefore.length > 0) return 0;
  console.error('erase: the vault knows no such person of this tenant');
  return 1;
}
