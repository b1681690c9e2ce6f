/** `sealtrail vault`: sets the vault up, says how it is, and moves it from key to key. */
import type { Command } from 'commander';
import { err, ok, type Result } from '../schemas/result.ts';
import { createVaultSchema } from '../store/vault/schema.ts';
import { applicationFileOf, defaultKeyFile, readKeysIfAny } from './vault-files.ts';
import { fail, KEYS_HELP, KEYS_OPTION, URL_HELP, URL_OPTION, withVault } from './vault-options.ts';
import { beginKeys, destroyKeys, rotateKeys } from './vault-rotation.ts';
import { describeStatus, readVaultStatus } from './vault-status.ts';

interface VaultOptions {
  readonly url?: string;
  readonly keys: string;
  readonly expiresDays: string;
  readonly json?: boolean;
}

const EXAMPLES: Readonly<Record<string, string>> = {
  init: `
  $ createdb vault && sealtrail vault init --url postgresql://postgres@vault-host/vault
  $ sealtrail vault init --keys /etc/sealtrail/vault.keys      again after an upgrade

As a superuser of the vault's server. Writes two key files, 0600: FILE opens envelopes and stays with the vault's
administrator; FILE.application is for $SEALTRAIL_VAULT_KEYS of applications: it adds people and reads none.`,
  status: `
  $ sealtrail vault status
  $ sealtrail vault status --json | jq .findings

As a member of sealtrail_vault_owner or sealtrail_vault_resolver.`,
  'rotate-key': `
  $ sealtrail vault rotate-key --expires-days 30

As a member of sealtrail_vault_owner. Then give applications the new FILE.application, and restart them.`,
  'destroy-key': `
  $ sealtrail vault destroy-key v1

As a member of sealtrail_vault_owner, once every application has the newer keys. Whoever is still sealed to it
moves first. No backup of its days can be read any more.`,
};
const EXIT_CODES =
  'Exit codes: 0 done, 1 status has findings, 2 it could not be done. How erasure works: docs/ERASURE.md';

const DAYS_OPTION = '--expires-days <n>';
const DAYS_HELP = 'by when a new key version is to be destroyed; the longest that a backup is kept';
const DAYS_DEFAULT = '90';

/** Adds the commands. */
export function addVaultCommand(program: Command): void {
  const vault = program
    .command('vault')
    .description('where tokens lead back to people, and can be made not to');
  const add = (name: string, description: string): Command =>
    vault
      .command(name)
      .description(description)
      .option(URL_OPTION, URL_HELP)
      .option(KEYS_OPTION, KEYS_HELP, defaultKeyFile())
      .addHelpText('after', `\nExamples:${EXAMPLES[name] ?? ''}\n${EXIT_CODES}`);

  add('init', 'create or upgrade roles and tables, and the first keys')
    .option(DAYS_OPTION, DAYS_HELP, DAYS_DEFAULT)
    .action(async (options: VaultOptions) => {
      process.exitCode = await runInit(options);
    });
  add('status', 'print keys, people and what has to be done')
    .option('--json', 'print it as JSON')
    .action(async (options: VaultOptions) => {
      process.exitCode = await runStatus(options);
    });
  add('rotate-key', 'make a new key version and move everybody to it')
    .option(DAYS_OPTION, DAYS_HELP, DAYS_DEFAULT)
    .action(async (options: VaultOptions) => {
      process.exitCode = await runRotate(options);
    });
  add('destroy-key', 'destroy an old key version: what was sealed to it is lost for good')
    .argument('<version>', 'such as v1')
    .action(async (version: string, options: VaultOptions) => {
      process.exitCode = await runDestroy(version, options);
    });
}

async function runInit({ url, keys, expiresDays }: VaultOptions): Promise<number> {
  const days = daysOf(expiresDays);
  if (!days.ok) return fail('vault init', days.error);
  const done = await withVault(url, async (client) => {
    const created = await createVaultSchema(client);
    if (!created.ok) return err(created.error.message);
    const version = await beginKeys(client, keys, days.value);
    return version.ok ? ok({ ...created.value, version: version.value }) : version;
  });
  if (!done.ok) return fail('vault init', done.error);
  const { applied, version } = done.value;
  console.log(`applied: ${applied.join(', ') || 'nothing, it is up to date'}`);
  if (version !== null) announce(version, keys);
  return 0;
}

async function runStatus({ url, keys, json }: VaultOptions): Promise<number> {
  const done = await withVault(url, async (client) => {
    const kept = await readKeysIfAny(keys);
    return kept.ok ? ok(await readVaultStatus(client, kept.value, Date.now())) : kept;
  });
  if (!done.ok) return fail('vault status', done.error);
  console.log(json === true ? JSON.stringify(done.value, null, 2) : describeStatus(done.value));
  return done.value.ok ? 0 : 1;
}

async function runRotate({ url, keys, expiresDays }: VaultOptions): Promise<number> {
  const days = daysOf(expiresDays);
  if (!days.ok) return fail('vault rotate-key', days.error);
  const done = await withVault(url, (client) => rotateKeys(client, keys, days.value));
  if (!done.ok) return fail('vault rotate-key', done.error);
  console.log(`${done.value.moved} people moved to ${done.value.version}`);
  announce(done.value.version, keys);
  console.log(
    'Once all of them run with these: sealtrail vault destroy-key, with the old version.',
  );
  return 0;
}

async function runDestroy(version: string, { url, keys }: VaultOptions): Promise<number> {
  const done = await withVault(url, (client) => destroyKeys(client, keys, version));
  if (!done.ok) return fail('vault destroy-key', done.error);
  console.log(
    `${done.value.moved} people moved; ${version} is destroyed in the vault and in ${keys}`,
  );
  console.log('Destroy the copies of the key file that were made while it was in there, too.');
  return 0;
}

function announce(version: string, keys: string): void {
  console.log(`${version}: the administrator's keys are in ${keys}; keep a copy where nobody`);
  console.log(`finds both it and the vault. For applications: ${applicationFileOf(keys)}`);
}

function daysOf(text: string): Result<number, string> {
  return /^[1-9][0-9]{0,4}$/.test(text)
    ? ok(Number(text))
    : err('--expires-days takes a number from 1');
}
