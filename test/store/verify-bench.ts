/** A store of eighteen records of two tenants, with its triggers off: what is changed in it, and put back. */
import pg from 'pg';
import { ulid } from 'ulid';
import { expect } from 'vitest';
import type { Verification } from '../../ledger/examination.ts';
import { rehash } from '../../ledger/content-check.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { Store, StoredRecord } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer, type Sealer } from './sealed.ts';

export const acme: Sealer = createSealer('agent/1/acme', 'acme');
export const zeta: Sealer = createSealer('agent/2/zeta', 'zeta');
export const spare: Sealer = createSealer('agent/3/acme', 'acme');
export const OF_ACME: string = `stream_id = (SELECT stream_id FROM audit.streams WHERE stream = 'agent/1/acme')`;

export interface VerifyBench extends AsyncDisposable {
  readonly server: TestPostgres;
  readonly store: Store;
  readonly admin: pg.Client;
  /** Twelve records of acme; the last one's event is carried by a second agent's stream, too. */
  readonly records: readonly StoredRecord[];
  /** URL of a login that is one of the auditors. */
  urlOf(user: string): string;
  /** Row by row over one connection, and by ranges over several: they MUST say the same. */
  verify(stream?: string, url?: string): Promise<Verification>;
  /** Changes the row of acme's record `seq`. */
  edit(seq: number, set: string, values?: readonly unknown[]): Promise<void>;
  /** Changes event and hash, as somebody does who has the source code. */
  forge(seq: number, change: (text: string) => string): Promise<void>;
  /** Puts every row back. */
  restore(): Promise<void>;
}

export async function openVerifyBench(): Promise<VerifyBench> {
  const server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  await store.migrate();
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  await admin.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor`);
  await admin.query(`INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  /** In turn, so that each test has ranges that end within a stream or ones that hold it whole. */
  let rangeRecords = 4;

  async function verify(stream?: string, url = server.url('auditor')): Promise<Verification> {
    const options = { url, ...(stream === undefined ? {} : { stream }) };
    const byRow = await verifyStore(options);
    rangeRecords = rangeRecords === 4 ? 1_000 : 4;
    expect(await verifyStore({ ...options, connections: 2, rangeRecords })).toEqual(byRow);
    return byRow;
  }

  expect(await verify()).toMatchObject({ verdict: 'cannot_tell', records: 0 });
  const records = Array.from({ length: 12 }, (_, n) => seal(acme, n));
  const failover = seal(spare, 11, records[11]!.event.event_id);
  const others = Array.from({ length: 5 }, (_, n) => seal(zeta, n));
  const done = await store.appendRecords([...records, ...others, failover]);
  expect(done).toMatchObject({ ok: true, value: { stored: 18, duplicates: 1 } });
  await admin.query('CREATE TABLE kept_records AS SELECT * FROM audit.records');
  await admin.query('ALTER TABLE kept_records DROP COLUMN payload');
  await admin.query('CREATE TABLE kept_streams AS SELECT * FROM audit.streams');
  for (const table of ['records', 'streams'])
    await admin.query(`ALTER TABLE audit.${table} DISABLE TRIGGER ALL`);
  expect(await verify()).toMatchObject({ verdict: 'intact', records: 18, findings: [] });

  async function edit(seq: number, set: string, values: readonly unknown[] = []): Promise<void> {
    const sql = `UPDATE audit.records SET ${set} WHERE ${OF_ACME} AND seq = ${seq}`;
    expect((await admin.query(sql, [...values])).rowCount).toBe(1);
  }

  return {
    ...{ server, store, admin, records, verify, edit },
    urlOf: (user) => {
      const url = new URL(server.url('auditor'));
      [url.username, url.password] = [user, 'pw'];
      return url.href;
    },
    forge: async (seq, change) => {
      const { eventText, prev_hash } = records[seq]!;
      const text = change(eventText);
      expect(text).not.toBe(eventText);
      const hash = rehash(prev_hash, text);
      await edit(seq, `event_bytes = $1, this_hash = decode($2, 'hex')`, [text, hash]);
    },
    restore: async () => {
      const columns = await admin.query<{ list: string }>(
        `SELECT string_agg(quote_ident(attname), ', ') AS list FROM pg_attribute
         WHERE attrelid = 'kept_records'::regclass AND attnum > 0 AND NOT attisdropped`,
      );
      const list = columns.rows[0]?.list ?? '';
      await admin.query(`
        DELETE FROM audit.records; DELETE FROM audit.streams;
        INSERT INTO audit.streams OVERRIDING SYSTEM VALUE SELECT * FROM kept_streams;
        INSERT INTO audit.records (${list}) SELECT ${list} FROM kept_records`);
    },
    [Symbol.asyncDispose]: async () => {
      await admin.end();
      await store.close();
      await server.stop();
    },
  };
}

function seal(sealer: Sealer, n: number, event_id = ulid()): StoredRecord {
  return sealer.seal({
    event_id,
    actor: `u-${n}`,
    requestId: `r-${n}`,
    traceId: String(n).padStart(32, '0'),
    onBehalfOf: `v-${n}`,
    time: new Date(Date.UTC(2026, n % 3, 1 + n)).toISOString(),
    metadata: { amount: n },
  });
}
