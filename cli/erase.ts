/**
 * `sealtrail erase`: forgets a person. Mapping and data key go in one transaction with a note; then the event is
 * recorded, and the note is settled. Whatever dies in between, the next run ends it: the event's id is in the note.
 * Whom a legal hold needs is not forgotten.
 */
import type { Client } from 'pg';
import type { Command } from 'commander';
import { ulid } from 'ulid';
import { isSubjectToken, SUBJECT_PURPOSES } from '../redaction/subjects/identity.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import type { Audit } from '../sdk/index.ts';
import {
  eraseSubject,
  findErasure,
  markRecorded,
  pendingErasures,
  readBackupsUntil,
  type Erasure,
} from '../store/vault/erasures.ts';
import { whileHoldsStand, type HeldSubject } from './erase-holds.ts';
import { STORE_OPTION } from './store-access.ts';
import {
  findTokens,
  openActs,
  recordAct,
  withActOptions,
  type SubjectActOptions,
} from './subject-acts.ts';
import { fail, readStandardInput, withVault } from './vault-options.ts';

interface EraseOptions extends SubjectActOptions {
  readonly subject?: string;
  readonly identity?: string | true;
  readonly purpose?: string;
  readonly store?: string;
}

const EXAMPLES = `
Examples:
  $ sealtrail erase --identity --tenant acme --reason "DSR-118" < identity.txt     the person, in every part
  $ sealtrail erase --subject sub_7qk4… --tenant acme --reason "DSR-118"           this token only
  $ sealtrail erase --identity --purpose subject --tenant acme --reason "DSR-118"  not as actor (Art. 17(3)(b))

Records stay, and verify as before: their tokens lead to nobody any more. An event subject.erase says that it was
done, by whom and why. Run it again after a crash: it ends what was begun. Nobody is erased of whom a legal hold keeps a
record: the refusal names the matter, and is on record. Does a law ask you to keep who it was? docs/ERASURE.md
Needs a running agent, and a member of sealtrail_vault_eraser; for a store that is not embedded, --store as a member of
sealtrail_legal. --identity needs a key file, that of applications will do.
Exit codes: 0 erased (now or before), 1 there is no such person, or a hold is in the way, 2 not done, or done and not on
record: run it again.`;

/** Adds the command. */
export function addEraseCommand(program: Command): void {
  const command = program
    .command('erase')
    .description('forget a person: the records stay, their tokens lead to nobody')
    .option('--subject <token>', 'this token')
    .option('--identity [text]', 'this person; without text, the one on standard input (better)')
    .option('--purpose <name>', `with --identity: only as ${SUBJECT_PURPOSES.join(' or ')}`)
    .requiredOption('--tenant <id>', 'whose records');
  withActOptions(command)
    .option(
      STORE_OPTION,
      'where the holds are: a store of your own, as a member of sealtrail_legal',
    )
    .option('--json', 'print {erased, erased_before, held, backups_until}')
    .addHelpText('after', EXAMPLES)
    .action(async (options: EraseOptions) => {
      process.exitCode = await runErase(options);
    });
}

interface Outcome {
  readonly erased: readonly string[];
  readonly erasedBefore: readonly string[];
  readonly held: readonly HeldSubject[];
  readonly backupsUntil: Date | null;
}

/** Who is meant: a token, or an identity. */
type Target = { readonly token: string } | { readonly identity: string };

async function runErase(options: EraseOptions): Promise<number> {
  const target = await readTarget(options);
  if (!target.ok) return fail('erase', target.error);
  // First of all, since nothing is to be erased of which there could be no record.
  const audit = await openActs(options, 'subject.erase');
  if (!audit.ok) return fail('erase', audit.error);
  try {
    const done = await withVault(options.url, async (client) => {
      const tokens =
        'token' in target.value
          ? ok([target.value.token])
          : await findTokens(client, options, target.value.identity);
      return tokens.ok ? erase(client, audit.value, tokens.value, options) : tokens;
    });
    return done.ok ? conclude(done.value, options) : fail('erase', done.error);
  } finally {
    await audit.value.close();
  }
}

async function readTarget({
  subject,
  identity,
  purpose,
}: EraseOptions): Promise<Result<Target, string>> {
  if ((subject === undefined) === (identity === undefined))
    return err('name the person by --subject or by --identity');
  if (purpose !== undefined && !SUBJECT_PURPOSES.some((one) => one === purpose))
    return err(`--purpose is ${SUBJECT_PURPOSES.join(' or ')}`);
  if (subject !== undefined)
    return isSubjectToken(subject) ? ok({ token: subject }) : err('--subject is no subject token');
  const named = typeof identity === 'string' ? ok(identity) : await readStandardInput();
  return named.ok ? ok({ identity: named.value }) : named;
}

/** All of them or none: what is left of a person would lead to the rest. */
async function erase(
  client: Client,
  audit: Audit,
  tokens: readonly string[],
  options: EraseOptions,
): Promise<Result<Outcome, string>> {
  // Those of a run that died, whatever becomes of this one.
  const settled = await settle(client, audit);
  if (!settled.ok) return settled;
  return whileHoldsStand(options, tokens, (held) =>
    held.length === 0 ? eraseAll(client, audit, tokens, options) : refuse(audit, held, options),
  );
}

async function refuse(
  audit: Audit,
  held: readonly HeldSubject[],
  { by, tenant, reason }: EraseOptions,
): Promise<Result<Outcome, string>> {
  for (const { token, matters } of held) {
    const metadata = { subject_token: token, matters, reason };
    const act = { action: 'subject.erase', outcome: 'denied', metadata } as const;
    const recorded = await recordAct(audit, act, { by, token, tenant });
    if (!recorded.ok) return recorded;
  }
  return ok({ erased: [], erasedBefore: [], held, backupsUntil: null });
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
  const settled = await settle(client, audit);
  return settled.ok
    ? ok({ erased, erasedBefore, held: [], backupsUntil: await readBackupsUntil(client) })
    : settled;
}

/** Has the event recorded of each erasure that has none. */
async function settle(client: Client, audit: Audit): Promise<Result<void, string>> {
  for (const erasure of await pendingErasures(client)) {
    const recorded = await recordErasure(audit, erasure);
    if (!recorded.ok) return recorded;
    await markRecorded(client, erasure.eventId);
  }
  return ok(undefined);
}

async function recordErasure(audit: Audit, erasure: Erasure): Promise<Result<void, string>> {
  const {
    eventId,
    token,
    tenant,
    purpose,
    keyVersion,
    requestedBy: by,
    reason,
    erasedAt,
  } = erasure;
  const metadata = { subject_token: token, purpose, key_version: keyVersion, reason };
  const act = { event_id: eventId, time: erasedAt, action: 'subject.erase', metadata } as const;
  const recorded = await recordAct(audit, { ...act, outcome: 'success' }, { by, token, tenant });
  return recorded.ok
    ? recorded
    : err(`${token} is erased, and that is not on record yet: ${recorded.error}. Run it again`);
}

function conclude(
  { erased, erasedBefore, held, backupsUntil }: Outcome,
  { json }: EraseOptions,
): number {
  const until = backupsUntil?.toISOString() ?? null;
  if (json === true)
    console.log(
      JSON.stringify({ erased, erased_before: erasedBefore, held, backups_until: until }),
    );
  else {
    for (const token of erased) console.log(`${token} erased`);
    for (const token of erasedBefore) console.log(`${token} was erased before`);
    if (erased.length > 0 && until !== null)
      console.log(`Backups of the vault can be read until its keys are destroyed: ${until}`);
  }
  for (const { token, matters } of held)
    console.error(
      `erase: refused: a legal hold for ${matters.join(', ')} needs to know who ${token} is; see \`sealtrail hold list\``,
    );
  if (held.length > 0) return 1;
  if (erased.length + erasedBefore.length > 0) return 0;
  console.error('erase: the vault knows no such person of this tenant');
  return 1;
}
