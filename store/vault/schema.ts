/** Making the vault: roles, the database's doors, and migrations of its own, forward only. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ClientBase } from 'pg';
import type { Result } from '../../schemas/result.ts';
import { applyMigrations, readMigrations } from '../migrate.ts';
import type { StoreError } from '../store.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Creates or upgrades the vault in this database. The client is a superuser's; throws what the database throws. */
export async function createVaultSchema(
  client: ClientBase,
): Promise<Result<{ readonly applied: readonly string[] }, StoreError>> {
  await client.query(await readFile(here('./roles.sql'), 'utf8'));
  // Functions run with the rights of their owner, which must not be a superuser's.
  await client.query('SET ROLE sealtrail_vault_owner');
  try {
    return await applyMigrations(client, await readMigrations(here('./migrations/')), 'vault');
  } finally {
    // Where the connection is lost, so is the role; the first error is the one to tell.
    await Promise.allSettled([client.query('RESET ROLE')]);
  }
}
