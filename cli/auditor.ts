/** `sealtrail auditor`: which database login may see which tenants of the trail. */
import type { Command } from 'commander';
import type { ClientBase } from 'pg';
import { err, ok, type Result } from '../schemas/result.ts';
import {
  findLoginFault,
  findTenantFault,
  grantAuditor,
  listAuditors,
  revokeAuditor,
  type Auditor,
  type Revoked,
} from '../store/auditors.ts';
import { findPasswordFault, scramVerifier } from '../store/scram.ts';
import { readPassword } from './auditor-password.ts';
import {
  addStoreOptions,
  changeRecorded,
  type Outcome,
  type StoreOptions,
} from './recorded-change.ts';
import { BY_HELP, BY_OPTION, defaultBy, storeAddress, withStore } from './store-access.ts';

const GRANT_EXAMPLES = `
Examples:
  $ sealtrail auditor grant alice --tenant acme --reason 'SOC 2, 2026'      asks for a password on a terminal
  $ sealtrail auditor grant alice --tenant acme globex --reason 'SOC 2' --password-file alice.txt
  $ sealtrail auditor grant alice --tenant acme --reason 'SOC 2' --no-password     the server knows her otherwise, or by the password she has
  $ sealtrail auditor grant head --tenant '*' --reason 'internal audit'

The login is made where there is none. It belongs to sealtrail_auditor and to no other role. A password comes from the
file, else from $SEALTRAIL_AUDITOR_PASSWORD, else from the terminal. The running agent records the grant first.
Exit codes: 0 granted, 1 it is not, 2 no agent or no store answers.`;

const REVOKE_EXAMPLES = `
Examples:
  $ sealtrail auditor revoke alice --tenant globex --reason 'mandate over'
  $ sealtrail auditor revoke alice --drop --reason 'left'       all tenants, and the login with them

Sessions of the login are ended: what an open transaction sees, it would go on seeing.
Exit codes: 0 revoked, 1 it is not, or not all of it, 2 no agent or no store answers.`;

const LIST_EXAMPLES = `
Examples:
  $ sealtrail auditor list
  $ sealtrail auditor list --json

Exit codes: 0 all are auditors and nothing else, 1 a login is more than that (it says what), 2 no store answers.`;

interface Change extends StoreOptions {
  readonly by: string;
  readonly reason: string;
}

interface GrantOptions extends Change {
  readonly tenant: readonly string[];
  /** False: --no-password. */
  readonly password: boolean;
  readonly passwordFile?: string;
}

interface RevokeOptions extends Change {
  readonly tenant?: readonly string[];
  readonly drop?: boolean;
}

/** Adds the commands. */
export function addAuditorCommand(program: Command): void {
  const auditor = program.command('auditor').description('who may read the trail, and of whom');
  changing(auditor.command('grant'))
    .description('let a login see tenants; it is made where there is none')
    .argument('<login>', 'login of the database')
    .requiredOption('--tenant <id...>', 'what it may see; * is every tenant')
    .option('--password-file <file>', 'first line is the password; - reads stdin')
    .option('--no-password', 'set none')
    .addHelpText('after', GRANT_EXAMPLES)
    .action(async (login: string, options: GrantOptions) => {
      process.exitCode = report(await grant(login, options), options, describe);
    });
  changing(auditor.command('revoke'))
    .description('take tenants from a login, and end its sessions')
    .argument('<login>', 'as `auditor list` shows it')
    .option('--tenant <id...>', 'these only (default: all)')
    .option('--drop', 'the login goes as well')
    .addHelpText('after', REVOKE_EXAMPLES)
    .action(async (login: string, options: RevokeOptions) => {
      process.exitCode = await revoke(login, options);
    });
  addStoreOptions(auditor.command('list'))
    .description('who may see what')
    .addHelpText('after', LIST_EXAMPLES)
    .action(async (options: StoreOptions) => {
      process.exitCode = await list(options);
    });
}

function changing(command: Command): Command {
  return addStoreOptions(command)
    .option(BY_OPTION, BY_HELP, defaultBy())
    .requiredOption('--reason <text>', 'why, for those who will read it');
}

async function grant(login: string, options: GrantOptions): Promise<Outcome<Auditor>> {
  const { tenant: tenants, reason } = options;
  const fault = findLoginFault(login) ?? firstFault(tenants);
  if (fault !== null) return err({ code: 1, message: fault });
  const password = options.password ? await readPassword(login, options.passwordFile) : ok(null);
  if (!password.ok) return err({ code: 2, message: password.error });
  const weak = password.value === null ? null : findPasswordFault(password.value);
  if (weak !== null) return err({ code: 1, message: weak });
  const verifier = password.value === null ? null : scramVerifier(password.value);
  return change(options, 'auditor.granted', login, { tenants, reason }, (client) =>
    grantAuditor(client, { login, tenants, verifier }),
  );
}

async function revoke(login: string, options: RevokeOptions): Promise<number> {
  const { tenant, drop = false, reason } = options;
  const fault = findLoginFault(login) ?? firstFault(tenant ?? []);
  const said = { tenants: tenant ?? null, drop, reason };
  const done: Outcome<Revoked> =
    fault === null
      ? await change(options, 'auditor.revoked', login, said, (client) =>
          revokeAuditor(client, { login, tenants: tenant ?? null, drop }),
        )
      : err({ code: 1, message: fault });
  const code = report(done, options, ({ tenants, ended }) => {
    const gone = tenants.length === 0 ? 'saw none of them' : `sees no more ${tenants.join(', ')}`;
    return `${login}  ${gone}; ${ended} sessions ended`;
  });
  if (!done.ok) return code;
  const { left, kept, seen } = done.value;
  if (left > 0)
    console.error(
      `auditor: ${left} sessions of ${login} go on, and an open transaction sees what it saw; end them as a superuser`,
    );
  if (kept !== null) console.error(`auditor: the login is still there: ${kept}`);
  if (seen.length > 0)
    console.error(
      `auditor: ${login} still sees ${seen.join(', ')}: it sees every tenant; revoke --tenant '*', and grant those that it shall see`,
    );
  return left > 0 || kept !== null || seen.length > 0 ? 1 : code;
}

function change<T>(
  options: Change,
  action: 'auditor.granted' | 'auditor.revoked',
  login: string,
  metadata: object,
  write: (client: ClientBase) => Promise<Result<T, string>>,
): Promise<Outcome<T>> {
  const { by, dataDir } = options;
  const operation = { action, by, resource: { type: 'auditor', id: login }, metadata };
  // Who may not read the list may not change it.
  return changeRecorded({ url: storeOf(options), dataDir, operation, check: listAuditors, write });
}

async function list(options: StoreOptions): Promise<number> {
  const found = await withStore(storeOf(options), async (client) => ok(await listAuditors(client)));
  if (!found.ok) {
    console.error(`auditor list: ${found.error}`);
    return 2;
  }
  if (options.json === true) console.log(JSON.stringify(found.value, null, 2));
  else for (const one of found.value) console.log(describe(one));
  if (found.value.length === 0 && options.json !== true) console.log('no auditors');
  return found.value.some(({ faults }) => faults.length > 0) ? 1 : 0;
}

function describe({ login, tenants, faults, can_log_in }: Auditor): string {
  const seen = tenants.length === 0 ? 'nothing' : tenants.join(', ');
  const state = can_log_in ? '' : '  (nobody logs in as it)';
  return [`${login}  sees ${seen}${state}`, ...faults.map((fault) => `  FAULT  ${fault}`)].join(
    '\n',
  );
}

function report<T>(
  outcome: Outcome<T>,
  { json }: StoreOptions,
  inWords: (value: T) => string,
): number {
  if (!outcome.ok) {
    console.error(`auditor: ${outcome.error.message}`);
    return outcome.error.code;
  }
  console.log(json === true ? JSON.stringify(outcome.value) : inWords(outcome.value));
  return 0;
}

function firstFault(tenants: readonly string[]): string | null {
  return tenants.map(findTenantFault).find((fault) => fault !== null) ?? null;
}

/** In the embedded server nobody else may make logins. */
function storeOf({ dataDir, store }: StoreOptions): ReturnType<typeof storeAddress> {
  return storeAddress(dataDir, 'admin', store);
}
