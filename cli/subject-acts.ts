/**
 * What the commands on people share: their options, the tokens of a person, and the events that tell of what was done.
 * A reason stays for good, in the vault and in the trail: one that names a person would undo the erasure.
 */
import { userInfo } from 'node:os';
import type { ClientBase } from 'pg';
import type { Command } from 'commander';
import { findPersonal } from '../redaction/personal.ts';
import { lookupOf } from '../redaction/subjects/envelope.ts';
import { normalizeIdentity, SUBJECT_PURPOSES } from '../redaction/subjects/identity.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { Audit, EventDraft } from '../sdk/index.ts';
import { readLiveKeys } from '../store/vault/key-versions.ts';
import { readTokens } from '../store/vault/subjects.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { openAudit, type RecordingOptions } from './recording.ts';
import { defaultKeyFile, findKeyFault, readKeyFile } from './vault-files.ts';
import { KEYS_HELP, KEYS_OPTION, URL_HELP, URL_OPTION } from './vault-options.ts';

export interface SubjectActOptions extends Omit<RecordingOptions, 'service'> {
  readonly url?: string;
  readonly keys: string;
  readonly reason: string;
  readonly by: string;
  readonly json?: boolean;
}

/** Adds the options of an act that goes on record. */
export function withActOptions(command: Command): Command {
  return command
    .requiredOption('--reason <text>', 'why; goes on record. A ticket, no names')
    .option('--by <name>', 'who does it', userInfo().username)
    .option(URL_OPTION, URL_HELP)
    .option(KEYS_OPTION, KEYS_HELP, defaultKeyFile())
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--vocabulary <file>', "vocabulary file (default: the running agent's)");
}

/** Opens the way into the trail, where the reason may stand in it. */
export async function openActs(
  options: Omit<SubjectActOptions, 'url' | 'keys' | 'json'>,
  action: 'subject.erase' | 'subject.resolve',
): Promise<Result<Audit, string>> {
  const { reason } = options;
  if (reason.includes('@') || findPersonal(reason).length > 0)
    return err('--reason must not name a person; give the ticket');
  return openAudit({ ...options, service: 'sealtrail-vault' }, action);
}

/** Records an act on the person behind a token; durable when it resolves well. */
export async function recordAct(
  audit: Audit,
  act: Pick<EventDraft, 'action' | 'outcome' | 'event_id' | 'time' | 'metadata'>,
  of: { readonly by: string; readonly token: string; readonly tenant: string },
): Promise<Result<void, string>> {
  try {
    await audit.record({
      ...act,
      actor: { type: 'admin', id: of.by, name: of.by },
      resource: { type: 'subject', id: of.token, tenant_id: of.tenant },
    });
    return ok(undefined);
  } catch (error) {
    return err(messageOf(error));
  }
}

/** All tokens of a person in a tenant, under whichever key: an old key file would not find all of them. */
export async function findTokens(
  client: ClientBase,
  { keys, tenant, purpose }: { keys: string; tenant: string; purpose?: string | undefined },
  identity: string,
): Promise<Result<readonly string[], string>> {
  const normalized = normalizeIdentity(identity);
  if (!normalized.ok) return err(`the identity ${normalized.error}`);
  const ring = await readKeyFile(keys);
  if (!ring.ok) return ring;
  const fault = findKeyFault(ring.value, await readLiveKeys(client));
  if (fault !== null) return err(fault);
  const purposes = SUBJECT_PURPOSES.filter((one) => (purpose ?? one) === one);
  const lookups = purposes.flatMap((one) =>
    ring.value.map((key) => lookupOf(key, { tenant, purpose: one }, normalized.value)),
  );
  return ok(await readTokens(client, lookups));
}
