/**
 * A vault for tests: a database of its own on a real PostgreSQL, a login role for each of its roles, and the key
 * file of its administrator. Made by `sealtrail vault init`, as an operator would.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ulid } from 'ulid';
import { beginKeys } from '../../cli/vault-rotation.ts';
import { applicationFileOf } from '../../cli/vault-files.ts';
import { createVaultSchema } from '../../store/vault/schema.ts';
import {
  createSubjects,
  type Person,
  type Subjects,
  type SubjectsOptions,
} from '../../sdk/subjects.ts';
import type { ErasureRequest } from '../../store/vault/erasures.ts';
import { parseVaultKeys, type VaultKeyRing } from '../../redaction/subjects/vault-keys.ts';

export type VaultRole = 'owner' | 'writer' | 'resolver' | 'eraser';

export interface TestVault extends AsyncDisposable {
  /** Of a login role that is a member of this role; `admin` is the superuser. */
  url(role: VaultRole | 'admin'): string;
  readonly keyFile: string;
  applicationKeys(): Promise<string>;
  readonly admin: pg.Client;
  connect(role: VaultRole): Promise<pg.Client>;
  /** The subjects of another process: a pool, a cache and keys of its own. */
  openSubjects(options?: Partial<SubjectsOptions>): Promise<Subjects>;
  /** Every row of every table, as text. */
  dump(): Promise<string>;
}

const PASSWORD = 'test';

/** Makes a vault in a new database of this server. */
export async function openVault(serverUrl: string, database: string = 'vault'): Promise<TestVault> {
  const server = new pg.Client(serverUrl);
  await server.connect();
  await server.query(`CREATE DATABASE ${database}`);
  await server.end();
  const adminUrl = Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href;
  const admin = new pg.Client(adminUrl);
  admin.on('error', () => undefined);
  await admin.connect();
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-vault-'));
  const keyFile = join(dir, 'vault.keys');
  const created = await createVaultSchema(admin);
  if (!created.ok) throw new Error(created.error.message);
  const begun = await beginKeys(admin, keyFile, 90);
  if (!begun.ok) throw new Error(begun.error);
  for (const role of ['owner', 'writer', 'resolver', 'eraser'])
    await admin.query(`DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'test_${role}') THEN
        CREATE ROLE test_${role} LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_vault_${role};
      END IF; END $$`);
  const closing: (() => Promise<unknown>)[] = [];

  const url = (role: VaultRole | 'admin'): string =>
    role === 'admin'
      ? adminUrl
      : Object.assign(new URL(adminUrl), { username: `test_${role}`, password: PASSWORD }).href;
  const applicationKeys = (): Promise<string> => readFile(applicationFileOf(keyFile), 'utf8');

  return {
    url,
    keyFile,
    applicationKeys,
    admin,
    connect: async (role) => {
      const client = new pg.Client(url(role));
      client.on('error', () => undefined);
      await client.connect();
      closing.push(() => client.end());
      return client;
    },
    openSubjects: async (options = {}) => {
      const pool = new pg.Pool({ connectionString: url('writer'), max: 4 });
      pool.on('error', () => undefined);
      closing.push(() => pool.end());
      // Far above what a slow machine takes.
      const patience = { timeoutMs: 60_000 };
      return createSubjects({
        client: pool,
        keys: await applicationKeys(),
        ...patience,
        ...options,
      });
    },
    dump: async () => {
      const { rows } = await admin.query<{ text: string }>(`
        SELECT row_to_json(t)::text AS text FROM vault.subjects t
        UNION ALL SELECT row_to_json(t)::text FROM vault.lookups t
        UNION ALL SELECT row_to_json(t)::text FROM vault.erasures t
        UNION ALL SELECT row_to_json(t)::text FROM vault.key_versions t`);
      return rows.map(({ text }) => text).join('\n');
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(closing.map((close) => close()));
      await admin.end();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Somebody of the tenant acme. */
export const personOf = (identity: string, purpose: 'actor' | 'subject' = 'actor'): Person => ({
  tenant: 'acme',
  purpose,
  identity,
});

/** What an erasure is asked for with. */
export const eraseRequest = (token: string): ErasureRequest => ({
  token,
  tenant: 'acme',
  eventId: ulid(),
  requestedBy: 'dpo',
  reason: 'DSR-1',
});

/** The keys of a file. */
export async function ringOf(path: string): Promise<VaultKeyRing> {
  const ring = parseVaultKeys(await readFile(path, 'utf8'));
  if (!ring.ok) throw new Error(ring.error);
  return ring.value;
}
