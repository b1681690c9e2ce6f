/** A store of PostgreSQL with a client for each of the roles that retention knows, and streams to purge in it. */
import { deepStrictEqual } from 'node:assert';
import pg from 'pg';
import { ulid } from 'ulid';
import { liftHold, placeHold, type HoldFilter } from '../../store/holds.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { PurgeProgress } from '../../store/retention.ts';
import { setClasses, type StoredClass } from '../../store/retention-policy.ts';
import type { Store } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import type { EventFields } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { createPurgeableStream, preview, runPurge, type PurgeableStream } from './purging.ts';

const ROLES = ['owner', 'retention', 'legal', 'admin', 'auditor'] as const;
type Role = (typeof ROLES)[number];

/** Of every stream that is made here. */
export const STANDARD: StoredClass = { class: 'standard', regime: 'PCI DSS', days: 366 };

export interface PurgeStore extends AsyncDisposable {
  readonly server: TestPostgres;
  readonly store: Store;
  readonly clients: Readonly<Record<Role, pg.Client>>;
  connect(role: Role | 'writer'): Promise<pg.Client>;
  /** A stream of its own tenant, so that holds of one test touch no other. */
  makeStream(fields?: readonly EventFields[]): Promise<PurgeableStream>;
  hold(of: PurgeableStream, filter: HoldFilter, matter?: string): Promise<string>;
  lift(holdId: string): Promise<void>;
  /** Records a purge, and carries it out. */
  purge(of: PurgeableStream, size: number): Promise<PurgeProgress>;
  seqsOf(of: PurgeableStream, table: 'records' | 'stubs' | 'record_keys'): Promise<number[]>;
  /** By ranges and row by row, which MUST say the same. */
  verify(of: PurgeableStream): ReturnType<typeof verifyStore>;
  /** As a superuser, with the triggers of a table out of the way. */
  tamper(table: string, sql: string, values: readonly unknown[]): Promise<void>;
}

/** Starts one; the class `standard` is in force. */
export async function openPurgeStore(): Promise<PurgeStore> {
  const server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const opened: pg.Client[] = [];
  let labels = 0;

  async function connect(role: Role | 'writer'): Promise<pg.Client> {
    const client = new pg.Client(server.url(role));
    await client.connect();
    opened.push(client);
    return client;
  }

  const clients = Object.fromEntries(
    await Promise.all(ROLES.map(async (role) => [role, await connect(role)] as const)),
  ) as Record<Role, pg.Client>;
  await setClasses(clients.owner, [{ ...STANDARD, days: 1 }, STANDARD], 'test');

  return {
    ...{ server, store, clients, connect },
    makeStream: async (fields = events(600)) => {
      labels += 1;
      const made = createPurgeableStream(store, `t${labels}`, String(labels).padStart(16, '0'));
      await made.store(fields);
      return made;
    },
    hold: async (of, filter, matter = 'M-1') => {
      const hold_id = ulid();
      const all = { tenant: tenantOf(of), ...filter };
      const said = { hold_id, matter, reason: 'court', filter: all, placed_by: 'ada' };
      await placeHold(clients.legal, said);
      return hold_id;
    },
    lift: (hold_id) => liftHold(clients.legal, { hold_id, reason: 'settled', by: 'ada' }),
    purge: async (of, size) =>
      runPurge(
        clients.retention,
        await of.recordPurge(await preview(clients.retention, of.stream, size)),
      ),
    seqsOf: async (of, table) => {
      const found = await clients.admin.query<{ seq: string }>(
        `SELECT seq FROM audit.${table} t JOIN audit.streams s USING (stream_id)
         WHERE stream = $1 ORDER BY seq`,
        [of.stream],
      );
      return found.rows.map(({ seq }) => Number(seq));
    },
    verify: async (of) => {
      const options = { url: server.url('auditor'), stream: of.stream };
      const byRow = await verifyStore(options);
      const byRange = await verifyStore({ ...options, connections: 2, rangeRecords: 100 });
      deepStrictEqual(byRange, byRow);
      return byRow;
    },
    tamper: async (table, sql, values) => {
      await clients.admin.query(`ALTER TABLE audit.${table} DISABLE TRIGGER USER`);
      const done = await clients.admin.query(sql, [...values]);
      await clients.admin.query(`ALTER TABLE audit.${table} ENABLE ALWAYS TRIGGER append_only_row`);
      if (done.rowCount === 0) throw new Error('nothing was tampered with');
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of opened) await client.end();
      await store.close();
      await server.stop();
    },
  };
}

/** Numbered events of one actor each. */
export function events(count: number, from = 0): EventFields[] {
  return Array.from({ length: count }, (_, n) => ({ actor: `u-${from + n}` }));
}

/** The tenant of a stream's records. */
export function tenantOf({ records }: PurgeableStream): string {
  return records[0]?.event.resource.tenant_id ?? '';
}

/** [from, to). */
export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);
