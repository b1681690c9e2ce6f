/**
 * Leases over the store's database: numbered pieces of work, each held by one member of a group. They are
 * advisory locks of one session, so a member that is killed lets go at once. They share out work and
 * nothing more: no record's safety may hang on one, since a session can end before its member knows.
 */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { createConnection, type ConnectionOptions } from './connection.ts';

export interface Leases {
  /**
   * Takes and lets go until this member has its fair share of [0, count); resolves with what it has.
   * Rejects when the database cannot be asked: then it has none.
   */
  balance(): Promise<readonly number[]>;
  /** Lets go of everything. */
  close(): void;
}

/** Beyond every lease: held, shared, by all members. */
const MEMBERSHIP = 1_000_000;

/** Most that each of so many members holds. */
export function fairShare(count: number, members: number): number {
  return Math.ceil(count / Math.max(1, members));
}

/** Joins a group at the first `balance`. */
export function createLeases(options: ConnectionOptions, group: string, count: number): Leases {
  const connection = createConnection({ ...options, applicationName: 'sealtrail leases' });
  const lockClass = createHash('sha256').update(group).digest().readUInt32BE() >>> 1;
  let session: pg.Client | null = null;
  const mine = new Set<number>();

  /** The session; a new one begins with nothing. */
  async function join(): Promise<pg.Client> {
    const client = await connection.client();
    if (client === session) return client;
    mine.clear();
    await client.query('SELECT pg_advisory_lock_shared($1, $2)', [lockClass, MEMBERSHIP]);
    session = client;
    return client;
  }

  async function balance(): Promise<readonly number[]> {
    const client = await join();
    const found = await client.query<{ members: string }>(
      `SELECT count(DISTINCT pid) AS members FROM pg_locks
       WHERE locktype = 'advisory' AND classid = $1::bigint::oid AND objid = $2::bigint::oid
         AND objsubid = 2 AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      [lockClass, MEMBERSHIP],
    );
    const share = fairShare(count, Number(found.rows[0]?.members ?? 1));
    for (const lease of [...mine].slice(share)) {
      mine.delete(lease);
      await client.query('SELECT pg_advisory_unlock($1, $2)', [lockClass, lease]);
    }
    for (let lease = 0; lease < count && mine.size < share; lease++) {
      if (mine.has(lease)) continue;
      const taken = await client.query<{ taken: boolean }>(
        'SELECT pg_try_advisory_lock($1, $2) AS taken',
        [lockClass, lease],
      );
      if (taken.rows[0]?.taken === true) mine.add(lease);
    }
    return [...mine];
  }

  function drop(): void {
    mine.clear();
    session = null;
    connection.drop();
  }

  return {
    balance: async () => {
      try {
        return await balance();
      } catch (error) {
        drop();
        throw error;
      }
    },
    close: drop,
  };
}
