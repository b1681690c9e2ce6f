/** Rows of the vault, as they stand there: sealed. Nothing here can open one. */
import type { ClientBase } from 'pg';

export interface StoredSubject {
  readonly token: string;
  readonly tenant: string;
  readonly purpose: 'actor' | 'subject';
  readonly keyVersion: string;
  readonly wrappedKey: Buffer;
  readonly identity: Buffer;
  readonly createdAt: Date;
}

/** The person behind a token; null where there is none (any more). */
export async function readSubject(
  client: ClientBase,
  token: string,
): Promise<StoredSubject | null> {
  return (await readSubjects(client, 'token = $1', [token]))[0] ?? null;
}

/** Subjects that fulfil a condition of ours. */
export async function readSubjects(
  client: ClientBase,
  condition: string,
  values: unknown[],
): Promise<readonly StoredSubject[]> {
  const { rows } = await client.query<StoredSubject>(
    `SELECT token, tenant_id AS tenant, purpose, key_version AS "keyVersion",
       wrapped_key AS "wrappedKey", identity, created_at AS "createdAt"
     FROM vault.subjects WHERE ${condition}`,
    values,
  );
  return rows;
}

/** The tokens that stand under these digests (64 hex digits each). */
export async function readTokens(
  client: ClientBase,
  lookups: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ token: string }>(
    'SELECT DISTINCT token FROM vault.tokens_of($1)',
    [lookups],
  );
  return rows.map(({ token }) => token);
}
