/**
 * Versions of the vault's keys, as the database knows them, and the step from one to the next: every subject is
 * sealed and indexed again, batch by batch, and only then may an old version be destroyed.
 */
import type { ClientBase } from 'pg';
import { readSubjects, type StoredSubject } from './subjects.ts';

export interface KeyVersion {
  readonly version: string;
  readonly publicKey: Buffer;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly destroyedAt: Date | null;
  /** People sealed to it. */
  readonly subjects: number;
}

/** The same person under the newest version. Runs where the private keys are. */
export type Renew = (subject: StoredSubject) => {
  readonly wrappedKey: Uint8Array;
  /** 64 hex digits. */
  readonly lookup: string;
};

const BATCH = 500;

/** All versions, newest first. */
export async function listKeyVersions(client: ClientBase): Promise<readonly KeyVersion[]> {
  const { rows } = await client.query<KeyVersion>(`
    SELECT k.version, k.public_key AS "publicKey", k.created_at AS "createdAt",
      k.expires_at AS "expiresAt", k.destroyed_at AS "destroyedAt",
      (SELECT count(*)::int FROM vault.subjects s WHERE s.key_version = k.version) AS subjects
    FROM vault.key_versions k ORDER BY substr(k.version, 2)::integer DESC`);
  return rows;
}

/** The versions in use, as every role of the vault but the writer may read them. */
export async function readLiveKeys(
  client: ClientBase,
): Promise<readonly Pick<KeyVersion, 'version' | 'publicKey'>[]> {
  const { rows } = await client.query<Pick<KeyVersion, 'version' | 'publicKey'>>(
    `SELECT version, public_key AS "publicKey" FROM vault.key_versions WHERE destroyed_at IS NULL`,
  );
  return rows;
}

/** Makes a version known. */
export async function addKeyVersion(
  client: ClientBase,
  version: string,
  publicKey: Uint8Array,
  expiresInDays: number,
): Promise<void> {
  await client.query(
    `INSERT INTO vault.key_versions (version, public_key, expires_at)
     VALUES ($1, $2, now() + make_interval(days => $3::integer))`,
    [version, Buffer.from(publicKey), expiresInDays],
  );
}

/** Moves every subject to this version; returns how many. What was moved stays so after a crash. */
export async function moveSubjects(
  client: ClientBase,
  version: string,
  renew: Renew,
): Promise<number> {
  for (let moved = 0; ;) {
    const count = await moveSome(client, version, renew);
    moved += count;
    if (count < BATCH) return moved;
  }
}

async function moveSome(client: ClientBase, version: string, renew: Renew): Promise<number> {
  await client.query('BEGIN');
  try {
    const condition = 'key_version <> $1 ORDER BY token LIMIT $2 FOR UPDATE';
    const subjects = await readSubjects(client, condition, [version, BATCH]);
    if (subjects.length > 0) await moveBatch(client, version, subjects, renew);
    await client.query('COMMIT');
    return subjects.length;
  } catch (error) {
    await Promise.allSettled([client.query('ROLLBACK')]);
    throw error;
  }
}

async function moveBatch(
  client: ClientBase,
  version: string,
  subjects: readonly StoredSubject[],
  renew: Renew,
): Promise<void> {
  const renewed = subjects.map(renew);
  const tokens = subjects.map(({ token }) => token);
  const keys = renewed.map(({ wrappedKey }) => Buffer.from(wrappedKey));
  await client.query(
    `UPDATE vault.subjects s SET key_version = $1, wrapped_key = n.wrapped_key
     FROM unnest($2::text[], $3::bytea[]) AS n (token, wrapped_key) WHERE s.token = n.token`,
    [version, tokens, keys],
  );
  // An application that has the version already may have met the person before.
  await client.query(
    `INSERT INTO vault.lookups (lookup, key_version, token)
     SELECT decode(n.lookup, 'hex'), $1, n.token
     FROM unnest($2::text[], $3::text[]) AS n (lookup, token) ORDER BY 1 ON CONFLICT DO NOTHING`,
    [version, renewed.map(({ lookup }) => lookup), tokens],
  );
}

/**
 * Destroys a version: nothing is sealed to it or found by it any more. False, and nothing was done, where a
 * subject is still sealed to it: an application has added one meanwhile.
 */
export async function destroyKeyVersion(client: ClientBase, version: string): Promise<boolean> {
  await client.query('BEGIN');
  // Whoever adds a subject holds this row meanwhile.
  await client.query(
    'UPDATE vault.key_versions SET destroyed_at = now() WHERE version = $1 AND destroyed_at IS NULL',
    [version],
  );
  const { rows } = await client.query('SELECT FROM vault.subjects WHERE key_version = $1 LIMIT 1', [
    version,
  ]);
  const isFree = rows.length === 0;
  if (isFree) await client.query('DELETE FROM vault.lookups WHERE key_version = $1', [version]);
  await client.query(isFree ? 'COMMIT' : 'ROLLBACK');
  return isFree;
}
