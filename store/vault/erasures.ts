/**
 * Erasure in the vault: mapping and data key go in one transaction, together with the note of it. The note waits
 * until the event of the erasure is in the trail, so that a crash between the two leaves what a second run ends.
 */
import type { ClientBase } from 'pg';

export interface Erasure {
  /** Id of the event that tells of it: chosen beforehand, so that it is recorded once however often it is sent. */
  readonly eventId: string;
  readonly token: string;
  readonly tenant: string;
  readonly purpose: string;
  readonly keyVersion: string;
  readonly requestedBy: string;
  readonly reason: string;
  readonly erasedAt: Date;
  /** Null: its event is not in the trail, as far as is known. */
  readonly recordedAt: Date | null;
}

const COLUMNS = `event_id AS "eventId", token, tenant_id AS tenant, purpose, key_version AS "keyVersion",
  requested_by AS "requestedBy", reason, erased_at AS "erasedAt", recorded_at AS "recordedAt"`;

export type ErasureRequest = Pick<
  Erasure,
  'token' | 'tenant' | 'eventId' | 'requestedBy' | 'reason'
>;

/** Deletes a person; null where the token stands for nobody of this tenant. Idempotent. */
export async function eraseSubject(
  client: ClientBase,
  { token, tenant, eventId, requestedBy, reason }: ErasureRequest,
): Promise<Erasure | null> {
  const { rows } = await client.query<Erasure>(
    `SELECT ${COLUMNS} FROM vault.erase_subject($1, $2, $3, $4, $5)`,
    [token, tenant, eventId, requestedBy, reason],
  );
  return rows[0] ?? null;
}

/** The erasure of a token, if there was one. */
export async function findErasure(client: ClientBase, token: string): Promise<Erasure | null> {
  const { rows } = await client.query<Erasure>(
    `SELECT ${COLUMNS} FROM vault.erasures WHERE token = $1`,
    [token],
  );
  return rows[0] ?? null;
}

/** Erasures without an event, the oldest first. */
export async function pendingErasures(client: ClientBase): Promise<readonly Erasure[]> {
  const { rows } = await client.query<Erasure>(
    `SELECT ${COLUMNS} FROM vault.erasures WHERE recorded_at IS NULL ORDER BY erased_at, event_id`,
  );
  return rows;
}

/** Notes that the event is in the trail. Call it after the ack only. */
export async function markRecorded(client: ClientBase, eventId: string): Promise<void> {
  await client.query('SELECT vault.mark_recorded($1)', [eventId]);
}

/** Until when a backup of the vault may still be read: the last day of any key that is not destroyed. */
export async function readBackupsUntil(client: ClientBase): Promise<Date | null> {
  const { rows } = await client.query<{ until: Date | null }>(
    'SELECT max(expires_at) AS until FROM vault.key_versions WHERE destroyed_at IS NULL',
  );
  return rows[0]?.until ?? null;
}
