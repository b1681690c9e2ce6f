/** A store with two tenants, its checkpoints, and an auditor of one of them; and what a superuser does to it. */
import { generateKeyPairSync } from 'node:crypto';
import pg from 'pg';
import type { AnswerRow, Asked, Column, Statement } from '../../auditor/answer.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { certify, type CertifyOptions } from '../../auditor/certificate/certify.ts';
import { actorActivity } from '../../auditor/questions/activity.ts';
import { COMMON } from '../../auditor/questions/columns.ts';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { signNote } from '../../ledger/note.ts';
import {
  createLogSigner,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../../ledger/signing.ts';
import { parseTrust, type Trust } from '../../ledger/trust.ts';
import { GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { insertCheckpoints, type StreamCheckpoint } from '../../store/checkpoints.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { Store, StoredRecord } from '../../store/store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer, type EventFields, type Sealer } from '../store/sealed.ts';

export const ACME: string = `sealtrail/test/${'a'.repeat(32)}/${'1'.repeat(16)}/standard`;
export const ZETA: string = `sealtrail/test/${'a'.repeat(32)}/${'2'.repeat(16)}/standard`;

export const ASKED: Asked = {
  question: 'actor-activity',
  tenant: 'acme',
  since: '2026-03-02T00:00:00.000Z',
  until: '2026-03-04T00:00:00.000Z',
  timeZone: 'Europe/Berlin',
  parameters: { actor: 'u-1' },
};

/** As an auditor may run it by hand. */
export const STATEMENT: Statement = {
  sql: `SELECT stream, seq, event_id, event_bytes, prev_hash, this_hash
FROM audit.events WHERE tenant_id = $1 AND actor_id = $2 AND occurred_at >= $3 AND occurred_at < $4
ORDER BY occurred_at, event_id`,
  values: ['acme', 'u-1', ASKED.since, ASKED.until],
};

export const COLUMNS: readonly Column[] = actorActivity.columns;

export function createSigner(name = 'sealtrail/test'): NoteSigner {
  const { privateKey } = generateKeyPairSync('ed25519');
  return createLogSigner(name, publicBytesOf(privateKey), signWithKey(privateKey));
}

export function trustOf(...signers: readonly NoteSigner[]): Trust {
  const trust = parseTrust(signers.map(({ vkey }) => vkey).join('\n'));
  if (!trust.ok) throw new Error(trust.error);
  return trust.value;
}

/** The signed note over the first `size` of some records. */
export async function checkpointOf(
  records: readonly StoredRecord[],
  size: number,
  signer: NoteSigner,
): Promise<StreamCheckpoint> {
  const tree = createRange();
  for (const { this_hash } of records.slice(0, size)) tree.append(hashRecordLeaf(this_hash));
  const stream = records[0]?.event.chain.stream ?? '';
  const text = formatCheckpoint({ origin: stream, size: BigInt(size), root: tree.root() });
  const head = records[size - 1]?.this_hash ?? GENESIS_PREV_HASH;
  return { stream, size: BigInt(size), head, note: await signNote(text, [signer]) };
}

/** Record n of a day that begins at hour 0 of 1 March 2026: one an hour, of five actors in turn. */
export function fieldsOf(n: number): EventFields {
  const time = new Date(Date.UTC(2026, 2, 1, n)).toISOString();
  return {
    actor: `u-${n % 5}`,
    resourceId: `c-${n}`,
    time,
    receivedAt: time,
    metadata: { amount: n },
  };
}

export interface EvidenceStore extends AsyncDisposable {
  readonly server: TestPostgres;
  readonly store: Store;
  readonly admin: pg.Client;
  readonly signer: NoteSigner;
  readonly acme: Sealer;
  readonly records: StoredRecord[];
  /** URL of the auditor of acme. */
  readonly alice: string;
  put(records: readonly StoredRecord[]): Promise<void>;
  sign(...sizes: readonly number[]): Promise<void>;
  /** Asks as alice, in one snapshot. */
  ask(options?: Partial<CertifyOptions>, statement?: Statement): Promise<Certificate>;
  /** As a superuser, with the triggers off. */
  tamper(sql: string, values?: readonly unknown[]): Promise<void>;
}

/** 120 records of acme, an hour each, and some of zeta; checkpoints at 60, 100 and 120. */
export async function openEvidenceStore(): Promise<EvidenceStore> {
  const server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  await admin.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor`);
  await admin.query(`INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  const signer = createSigner();
  const acme = createSealer(ACME, 'acme');
  const zeta = createSealer(ZETA, 'zeta');
  const records = Array.from({ length: 120 }, (_, n) => acme.seal(fieldsOf(n)));
  const url = new URL(server.url('auditor'));
  url.username = 'alice';
  url.password = 'pw';

  async function put(added: readonly StoredRecord[]): Promise<void> {
    const done = await store.appendRecords(added);
    if (!done.ok || done.value.refused.length > 0) throw new Error(JSON.stringify(done));
  }

  async function sign(...sizes: readonly number[]): Promise<void> {
    const writer = new pg.Client(server.url('writer'));
    await writer.connect();
    const notes = await Promise.all(sizes.map((size) => checkpointOf(records, size, signer)));
    await insertCheckpoints(writer, notes);
    await writer.end();
  }

  await put([...records, ...Array.from({ length: 30 }, (_, n) => zeta.seal(fieldsOf(n)))]);
  await sign(60, 100, 120);
  return {
    ...{ server, store, admin, signer, acme, records, put, sign },
    alice: url.href,
    ask: async (options = {}, statement = STATEMENT) => {
      const client = new pg.Client(url.href);
      await client.connect();
      try {
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        const rows = await readRows(client, statement);
        return await certify({
          client,
          asked: ASKED,
          statement,
          rows,
          known: null,
          trust: trustOf(signer),
          verifier: 'sealtrail test',
          ...options,
        });
      } finally {
        await client.end();
      }
    },
    tamper: async (sql, values = []) => {
      await admin.query(`SET session_replication_role = replica`);
      for (const table of ['records', 'streams', 'checkpoints'])
        await admin.query(`ALTER TABLE audit.${table} DISABLE TRIGGER USER`);
      const done = await admin.query(sql, [...values]);
      if (done.rowCount === 0) throw new Error('nothing was tampered with');
    },
    [Symbol.asyncDispose]: async () => {
      await admin.end();
      await store.close();
      await server.stop();
    },
  };
}

/** Runs the statement; a row that has a seq is a record. */
export async function readRows(
  client: pg.Client,
  { sql, values }: Statement,
): Promise<AnswerRow[]> {
  const { rows } = await client.query<Record<string, string>>(sql, [...values]);
  return rows.map((row) => {
    const { stream, seq, event_id = '', event_bytes = '', prev_hash = '', this_hash = '' } = row;
    if (stream === undefined) return { values: Object.values(row), record: null };
    const record = { stream, seq: Number(seq), event_id, event_bytes, prev_hash, this_hash };
    const event: unknown = JSON.parse(event_bytes);
    return { values: COMMON.map(({ of }) => of(event, {} as never, [])), record };
  });
}
