/**
 * Makes the embedded server's data directory: initdb into a new directory, roles and database in
 * single-user mode (no server listens before its passwords are set), then one rename. A crash in
 * between leaves a directory that the next start throws away and makes again.
 */
import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../schemas/result.ts';
import {
  runCommand,
  spawnAs,
  type Binaries,
  type EmbeddedError,
  type Identity,
} from './embedded-binaries.ts';
import { giveTo } from './embedded-identity.ts';
import type { Passwords } from './embedded-passwords.ts';

/** Name of the database in the embedded server. */
export const DATABASE = 'sealtrail';

export interface BootstrapOptions {
  readonly binaries: Binaries;
  readonly identity: Identity;
  /** Holds `data` (the cluster) when done. */
  readonly dir: string;
  readonly passwords: Passwords;
  /** The password file was lost: an existing cluster gets the new ones. */
  readonly passwordsAreNew: boolean;
  /** Calls it off: what is half made then is made again by the next start. */
  readonly signal?: AbortSignal | undefined;
}

/** Makes the cluster when there is none; idempotent, and safe to kill at any point. */
export async function bootstrapCluster(
  options: BootstrapOptions,
): Promise<Result<void, EmbeddedError>> {
  const data = join(options.dir, 'data');
  const exists = await stat(join(data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (exists)
    return options.passwordsAreNew
      ? runSql(options, data, [...roleSql(), ...passwordSql(options)])
      : ok(undefined);

  const fresh = join(options.dir, 'data.new');
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  await giveTo(options.identity, fresh);
  const args = ['-D', fresh, '-U', 'sealtrail_admin', '-A', 'trust', '-E', 'UTF8'];
  args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions');
  const { signal } = options;
  const made = await runCommand(spawnAs(options.identity, options.binaries.initdb, args), {
    signal,
  });
  if (made.code !== 0)
    return err({ kind: 'init', message: `initdb in ${fresh} failed: ${made.output.trim()}` });
  const filled = await runSql(options, fresh, [
    ...createSql(),
    ...roleSql(),
    ...passwordSql(options),
  ]);
  if (!filled.ok) return filled;
  await writeFile(join(fresh, 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
  await syncFile(join(fresh, 'pg_hba.conf'));
  await rename(fresh, data);
  await syncFile(options.dir);
  return ok(undefined);
}

function createSql(): string[] {
  return [
    'CREATE ROLE sealtrail_owner LOGIN',
    'CREATE ROLE sealtrail_writer LOGIN',
    'CREATE ROLE sealtrail_auditor LOGIN',
    `CREATE DATABASE ${DATABASE} OWNER sealtrail_owner`,
    `REVOKE ALL ON DATABASE ${DATABASE} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${DATABASE} TO sealtrail_writer, sealtrail_auditor`,
  ];
}

/** The roles of retention, which clusters of earlier versions lack. A statement a line. */
function roleSql(): string[] {
  const create = ['retention', 'legal', 'purger'].map(
    (role) =>
      `DO $$ BEGIN CREATE ROLE sealtrail_${role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
  );
  return [
    ...create,
    'ALTER ROLE sealtrail_retention LOGIN',
    'ALTER ROLE sealtrail_legal LOGIN',
    'ALTER ROLE sealtrail_owner NOINHERIT',
    'GRANT sealtrail_purger TO sealtrail_owner',
    `GRANT CONNECT ON DATABASE ${DATABASE} TO sealtrail_retention, sealtrail_legal`,
  ];
}

function passwordSql({ passwords }: BootstrapOptions): string[] {
  return Object.entries(passwords).map(
    ([role, password]) => `ALTER ROLE sealtrail_${role} PASSWORD '${String(password)}'`,
  );
}

async function runSql(
  options: BootstrapOptions,
  data: string,
  statements: readonly string[],
): Promise<Result<void, EmbeddedError>> {
  const args = ['--single', '-D', data, '-c', 'log_checkpoints=off', 'postgres'];
  const command = spawnAs(options.identity, options.binaries.postgres, args);
  const input = statements.map((sql) => `${sql}\n`).join('');
  const done = await runCommand(command, { input, signal: options.signal });
  // Single-user mode goes on after an error and still ends with 0.
  const failed = done.code !== 0 || /^(.*\b)?(ERROR|FATAL|PANIC):/m.test(done.output);
  if (!failed) return ok(undefined);
  const lines = done.output.split('\n').filter((line) => /ERROR|FATAL|PANIC/.test(line));
  return err({ kind: 'init', message: `roles could not be made: ${lines.join(' | ')}` });
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
