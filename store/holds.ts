/**
 * Legal holds, as the role of those who place them sees the store: what is held for which matter. A
 * hold is placed and lifted, never changed; both stay to be read.
 */
import type { ClientBase } from 'pg';
import { indexableResourceId } from './rows.ts';

/** What a hold covers: all that is named must fit. At least one MUST be named. */
export interface HoldFilter {
  readonly tenant?: string;
  /** Who did it, or on whose behalf. */
  readonly actor?: string;
  readonly action?: string;
  readonly category?: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** Event time from, ISO 8601. */
  readonly from?: string;
  /** Event time before. */
  readonly to?: string;
  readonly eventIds?: readonly string[];
}

export interface Hold {
  readonly hold_id: string;
  readonly matter: string;
  readonly reason: string;
  readonly filter: HoldFilter;
  readonly placed_by: string;
  readonly placed_at: string;
  /** Null while it holds. */
  readonly lifted: { readonly by: string; readonly at: string; readonly reason: string } | null;
}

const FILTER_COLUMNS: readonly (readonly [keyof HoldFilter, string])[] = [
  ['tenant', 'tenant_id'],
  ['actor', 'actor_id'],
  ['action', 'action'],
  ['category', 'category'],
  ['resourceType', 'resource_type'],
  ['resourceId', 'resource_id'],
  ['from', 'occurred_from'],
  ['to', 'occurred_to'],
  ['eventIds', 'event_ids'],
];

/** Rejects with what connecting and privileges have against placing holds. */
export async function checkHoldAccess(client: ClientBase): Promise<void> {
  await client.query('SELECT FROM audit.legal_holds LIMIT 0');
}

/** Places a hold; in force when it resolves. */
export async function placeHold(
  client: ClientBase,
  hold: Pick<Hold, 'hold_id' | 'matter' | 'reason' | 'filter' | 'placed_by'>,
): Promise<void> {
  const { filter } = hold;
  const named = FILTER_COLUMNS.filter(([name]) => filter[name] !== undefined);
  const columns = ['hold_id', 'matter', 'reason', 'placed_by', ...named.map(([, to]) => to)];
  await client.query(
    `INSERT INTO audit.legal_holds (${columns.join(', ')})
     VALUES (${columns.map((_, at) => `$${at + 1}`).join(', ')})`,
    [
      ...[hold.hold_id, hold.matter, hold.reason, hold.placed_by],
      // Filed as the writer files it.
      ...named.map(([name]) =>
        name === 'resourceId' ? indexableResourceId(filter.resourceId ?? '') : filter[name],
      ),
    ],
  );
}

/** Lifts a hold; rejects where there is none, or where it was lifted before. */
export async function liftHold(
  client: ClientBase,
  lift: { readonly hold_id: string; readonly reason: string; readonly by: string },
): Promise<void> {
  await client.query(
    'INSERT INTO audit.legal_hold_lifts (hold_id, reason, lifted_by) VALUES ($1, $2, $3)',
    [lift.hold_id, lift.reason, lift.by],
  );
}

/** All holds, or those of one matter, the oldest first; lifted ones too. */
export async function listHolds(client: ClientBase, matter?: string): Promise<readonly Hold[]> {
  const found = await client.query<HoldRow>(
    `SELECT h.*, l.reason AS lift_reason, l.lifted_by, l.lifted_at
     FROM audit.legal_holds h LEFT JOIN audit.legal_hold_lifts l USING (hold_id)
     WHERE $1::text IS NULL OR h.matter = $1 ORDER BY h.placed_at, h.hold_id`,
    [matter ?? null],
  );
  return found.rows.map((row) => ({
    hold_id: row.hold_id,
    matter: row.matter,
    reason: row.reason,
    filter: Object.fromEntries(
      FILTER_COLUMNS.flatMap(([name, column]) => {
        const value = row[column];
        if (value === null || value === undefined) return [];
        return [[name, value instanceof Date ? value.toISOString() : value]];
      }),
    ),
    placed_by: row.placed_by,
    placed_at: row.placed_at.toISOString(),
    lifted:
      row.lifted_by === null || row.lifted_at === null
        ? null
        : { by: row.lifted_by, at: row.lifted_at.toISOString(), reason: row.lift_reason ?? '' },
  }));
}

interface HoldRow {
  readonly hold_id: string;
  readonly matter: string;
  readonly reason: string;
  readonly placed_by: string;
  readonly placed_at: Date;
  readonly lift_reason: string | null;
  readonly lifted_by: string | null;
  readonly lifted_at: Date | null;
  readonly [column: string]: string | Date | readonly string[] | null;
}

/** Until the end of the transaction no hold is placed: one that is being placed comes first, or after it. */
export async function lockHolds(client: ClientBase): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock(audit.erasure_lock())');
}

/** The matters whose holds keep a record of these subjects, each with the subject's token. */
export async function mattersOf(
  client: ClientBase,
  tenant: string,
  tokens: readonly string[],
): Promise<readonly { readonly token: string; readonly matter: string }[]> {
  const found = await client.query<{ token: string; matter: string }>(
    'SELECT token, matter FROM audit.matters_of($1, $2)',
    [tenant, tokens],
  );
  return found.rows;
}

/** Whether a hold covers one of the records at these places, [from, to) of each stream; asked by the writer. */
export async function isHeld(
  client: ClientBase,
  extents: readonly { readonly stream: string; readonly from: number; readonly to: number }[],
): Promise<boolean> {
  const found = await client.query<{ held: boolean }>(
    'SELECT audit.is_held($1::text[], $2::int8[], $3::int8[]) AS held',
    [
      extents.map(({ stream }) => stream),
      extents.map(({ from }) => from),
      extents.map(({ to }) => to),
    ],
  );
  // Whatever else comes back, it is no leave to delete.
  return found.rows[0]?.held !== false;
}
