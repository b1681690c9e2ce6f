/**
 * The auditor of acme with a login and SQL, in a store that has zeta as well: for attacks on the boundary. After each of them
 * the session sees its own tenant, and all of it.
 */
import pg from 'pg';
import { expect } from 'vitest';
import { openBoundary, type Boundary } from '../support/boundary.ts';
import type { Kind } from '../support/store-kinds.ts';

export const REFUSED = '42501';
/** What auditors may read. */
export const VIEWS: readonly string[] = [
  ...['records', 'events', 'sealed_records', 'streams', 'retention', 'stubs'],
  'checkpoints',
];

export interface Attacker extends AsyncDisposable {
  readonly boundary: Boundary;
  readonly alice: pg.Client;
  /** Partition of this month. */
  readonly month: string;
  /** PostgreSQL 16 or newer. */
  readonly isNew: boolean;
  /** Runs an attack as alice; what it was told holds nothing of zeta. */
  attack(
    sql: string | readonly string[],
    settings?: { readonly blind?: boolean; readonly values?: unknown[] },
  ): Promise<string>;
}

/** Opens it. */
export async function openAttacker(kind: Kind): Promise<Attacker> {
  const boundary = await openBoundary(kind);
  const alice = await boundary.connect('alice');
  const { rows } = await boundary.admin.query<{ t: string; v: number }>(
    `SELECT tableoid::regclass::text AS t, current_setting('server_version_num')::int AS v
     FROM audit.records ORDER BY occurred_at DESC LIMIT 1`,
  );

  async function attack(
    sql: string | readonly string[],
    settings?: { readonly blind?: boolean; readonly values?: unknown[] },
  ): Promise<string> {
    let told = '';
    for (const one of [sql].flat()) told += `${await tell(alice, one, settings?.values)}\n`;
    expect(told).not.toMatch(/zeta|zz-secret|eeeeeeee/);
    // An attack whose statement does not even run would prove nothing.
    if (settings?.blind !== true) expect(told).toMatch(/acme|own-thing/);
    await alice.query('ROLLBACK; RESET SESSION AUTHORIZATION');
    await alice.query('DISCARD ALL');
    await expectOwn(alice);
    return told;
  }

  return {
    ...{ boundary, alice, attack },
    month: rows[0]?.t ?? '',
    isNew: (rows[0]?.v ?? 0) >= 160_000,
    [Symbol.asyncDispose]: () => boundary[Symbol.asyncDispose](),
  };
}

/** All that a statement, or a script of them, gives: rows, notices, errors. */
async function tell(client: pg.Client, sql: string, values?: unknown[]): Promise<string> {
  const told: string[] = [];
  const listen = (notice: { message?: string | undefined }): unknown =>
    told.push(notice.message ?? '');
  client.on('notice', listen);
  try {
    const done = (await (values === undefined ? client.query(sql) : client.query(sql, values))) as
      pg.QueryResult | pg.QueryResult[];
    told.push(JSON.stringify([done].flat().map(({ rows }) => rows as unknown)));
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    told.push(`${error.code ?? ''} ${error.message} ${error.detail ?? ''} ${error.where ?? ''}`);
  } finally {
    client.off('notice', listen);
  }
  return told.join('\n');
}

async function expectOwn(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ tenant_id: string; n: number }>(
    'SELECT tenant_id, count(*)::int AS n FROM audit.events GROUP BY 1',
  );
  expect(rows).toEqual([{ tenant_id: 'acme', n: 10 }]);
}
