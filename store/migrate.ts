/**
 * Migrations: numbered SQL files, forward only, each in a transaction of its own, under one
 * advisory lock, recorded with the SHA-256 of its text. A file that changed after it was applied
 * is refused, and so is a database that a newer build has migrated.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ClientBase } from 'pg';
import { err, ok, type Result } from '../schemas/result.ts';
import type { StoreError } from './store.ts';

export interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/** Any number, the same for all: two agents that start together migrate one after the other. */
const LOCK_KEY = 7_325_011_802;

/** The migrations of this build, in order; file names are `NNNN_what.sql`. */
export async function readMigrations(
  dir: string = fileURLToPath(new URL('./migrations/', import.meta.url)),
): Promise<readonly Migration[]> {
  const names = (await readdir(dir)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(`${dir}/${name}`, 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** Applies what is missing; returns the names applied. Throws what the database throws. */
export async function applyMigrations(
  client: ClientBase,
  migrations: readonly Migration[],
  schema: 'audit' | 'vault' = 'audit',
): Promise<Result<{ readonly applied: readonly string[] }, StoreError>> {
  await client.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
  try {
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    await client.query(`CREATE TABLE IF NOT EXISTS ${schema}.schema_migrations (
      name text PRIMARY KEY, checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now(), applied_by name NOT NULL DEFAULT current_user)`);
    const known = await client.query<{ name: string; checksum: string }>(
      `SELECT name, checksum FROM ${schema}.schema_migrations ORDER BY name`,
    );
    const conflict = findConflict(migrations, known.rows);
    if (conflict !== null) return err({ kind: 'schema', message: conflict });
    const applied: string[] = [];
    for (const migration of migrations) {
      if (known.rows.some((row) => row.name === migration.name)) continue;
      await applyOne(client, migration, schema);
      applied.push(migration.name);
    }
    return ok({ applied });
  } finally {
    // Where the connection is lost, so is the lock; the error of the migration is the one to tell.
    await Promise.allSettled([client.query('SELECT pg_advisory_unlock($1)', [LOCK_KEY])]);
  }
}

function findConflict(
  migrations: readonly Migration[],
  applied: readonly { name: string; checksum: string }[],
): string | null {
  for (const { name, checksum } of applied) {
    const mine = migrations.find((migration) => migration.name === name);
    if (mine === undefined)
      return `the database has migration ${name}, which this build does not know; upgrade sealtrail`;
    if (mine.checksum !== checksum)
      return `migration ${name} was changed after it was applied; add a new migration instead`;
  }
  return null;
}

async function applyOne(client: ClientBase, migration: Migration, schema: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(migration.sql);
    await client.query(`INSERT INTO ${schema}.schema_migrations (name, checksum) VALUES ($1, $2)`, [
      migration.name,
      migration.checksum,
    ]);
    await client.query('COMMIT');
  } catch (error) {
    await Promise.allSettled([client.query('ROLLBACK')]);
    throw error;
  }
}
