/**
 * The access log, as the writer carries it into the trail: rows that are not there yet are taken, and
 * are done with when their events are durable. Two agents on one store share the work. Long after, they are forgotten.
 */
import type { ClientBase } from 'pg';

/** A question that somebody asked of the trail, answered or not. */
export interface Access {
  readonly access_id: number;
  /** Milliseconds since the epoch. */
  readonly asked_ms: number;
  readonly login: string;
  readonly application: string;
  readonly question: string;
  readonly tenant: string;
  readonly since: string | null;
  readonly until: string | null;
  /** As JSON text: what is in it the asker chose. */
  readonly parameters: string;
  readonly allowed: boolean;
}

const UTC = `AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const PENDING = `
SELECT l.access_id::float8 AS access_id, floor(extract(epoch FROM l.asked_at) * 1000)::float8 AS asked_ms,
  l.login, l.application, l.question, l.tenant_id AS tenant, to_char(l.since ${UTC}) AS since,
  to_char(l.until ${UTC}) AS until, l.parameters::text AS parameters, l.allowed
FROM audit.access_pending p JOIN audit.access_log l USING (access_id)
ORDER BY p.access_id LIMIT $1 FOR UPDATE OF p SKIP LOCKED`;

/**
 * Has `keep` make up to `max` rows durable elsewhere, the oldest first, and is done with them then; resolves
 * with how many. Where it fails in between they come again.
 */
export async function carryAccesses(
  client: ClientBase,
  max: number,
  keep: (accesses: readonly Access[]) => Promise<void>,
): Promise<number> {
  await client.query('BEGIN');
  try {
    const { rows } = await client.query<Access>(PENDING, [max]);
    if (rows.length > 0) {
      await keep(rows);
      await client.query('DELETE FROM audit.access_pending WHERE access_id = ANY ($1::bigint[])', [
        rows.map(({ access_id }) => access_id),
      ]);
    }
    await client.query('COMMIT');
    return rows.length;
  } catch (error) {
    await Promise.allSettled([client.query('ROLLBACK')]);
    throw error;
  }
}

/** Of one call of audit.forget_accesses. */
const FORGOTTEN_MAX = 10_000;

/** Forgets what is in the trail since long (migration 0012); resolves with how many rows that were. */
export async function forgetAccesses(client: ClientBase): Promise<number> {
  for (let total = 0; ;) {
    const { rows } = await client.query<{ n: string }>('SELECT audit.forget_accesses() AS n');
    const gone = Number(rows[0]?.n ?? 0);
    total += gone;
    if (gone < FORGOTTEN_MAX) return total;
  }
}
