/** A real store with a month of events of two tenants, and the logins of their auditors. */
import { ulid } from 'ulid';
import pg from 'pg';
import type { Login, WebPorts } from '../../auditor/web/ports.ts';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { formatRecord } from '../../ledger/frame.ts';
import { hashRecordLeaf, type TreeHash } from '../../ledger/merkle/hash.ts';
import { signNote } from '../../ledger/note.ts';
import { formatProof } from '../../ledger/proof-file.ts';
import { err, ok } from '../../schemas/result.ts';
import { insertCheckpoints } from '../../store/checkpoints.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { StoredRecord } from '../../store/store.ts';
import { createSealer, type EventFields } from '../store/sealed.ts';
import { TEST_SIGNER } from './checkpoints.ts';
import { naiveInclusion, naiveRoot } from './naive-tree.ts';
import { connectTo, startPostgres, type TestPostgres } from './postgres.ts';

export const PASSWORD = 'correct horse battery';
/** The clock of the page stands here unless a test moves it. */
export const NOW_MS: number = Date.UTC(2026, 10, 26, 12);
const DAY_MS = 86_400_000;

export interface WebStore {
  readonly server: TestPostgres;
  readonly admin: pg.Client;
  /** Of acme, in their order. */
  readonly records: readonly StoredRecord[];
  /** The store as a login. */
  readonly urlOf: (login: Login) => string;
  /** A proof for a record of acme, signed by TEST_SIGNER. */
  readonly proofOf: NonNullable<WebPorts['proofOf']>;
  /** What somebody with full power over the store does; throws where it changed nothing. */
  tamper(sql: string, values?: readonly unknown[]): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a store with `count` events of acme and some of zeta; logins `alice` (acme), `zoe` (zeta), `dora` (two tenants), `nobody`. */
export async function startWebStore(
  count: number,
  more: readonly EventFields[] = [],
): Promise<WebStore> {
  const server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  for (const [name, tenants] of Object.entries(LOGINS)) {
    await admin.query(`CREATE ROLE ${name} LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_auditor`);
    for (const tenant of tenants)
      await admin.query('INSERT INTO audit.auditor_tenants VALUES ($1, $2)', [name, tenant]);
  }
  const stream = `sealtrail/test/${'f'.repeat(32)}/0011223344556677/standard`;
  const sealer = createSealer(stream, 'acme');
  const records = Array.from({ length: count }, (_, index) =>
    sealer.seal(makeFields(index, count)),
  );
  const time = new Date(NOW_MS - DAY_MS).toISOString();
  for (const fields of more) records.push(sealer.seal({ time, ...fields }));
  const zeta = createSealer('sealtrail/test/zeta', 'zeta');
  const others = Array.from({ length: 5 }, (_, index) =>
    zeta.seal({ ...makeFields(index, 5), actor: 'u-zeta' }),
  );
  const stored = await store.appendRecords([...records, ...others]);
  if (!stored.ok || stored.value.stored !== records.length + 5)
    throw new Error(JSON.stringify(stored));
  await store.close();
  await signStream(server, stream, records);
  return {
    server,
    admin,
    records,
    urlOf: ({ user, password }) => {
      const url = new URL(server.url('auditor'));
      url.username = encodeURIComponent(user);
      url.password = encodeURIComponent(password);
      return url.href;
    },
    proofOf: async (eventId) => prove(stream, records, eventId),
    async tamper(sql, values = []) {
      await admin.query(
        'ALTER TABLE audit.records DISABLE TRIGGER USER; SET session_replication_role = replica',
      );
      const done = await admin.query(sql, [...values]);
      if (!done.rowCount) throw new Error(`nothing was tampered with: ${sql}`);
    },
    async stop() {
      await admin.end();
      await server.stop();
    },
  };
}

const LOGINS = { alice: ['acme'], zoe: ['zeta'], dora: ['acme', 'zeta'], nobody: [] } as const;
const ACTIONS = [
  'customer.read',
  'customer.export',
  'invoice.read',
  'user.login',
  'patient.record_read',
];

/** What happened: mostly ordinary things, some denied, some as somebody else. All by arithmetic. */
function makeFields(index: number, count: number): EventFields {
  const action = ACTIONS[(index * 7) % ACTIONS.length] ?? '';
  const outcome = index % 11 === 3 ? 'denied' : index % 37 === 5 ? 'failure' : 'success';
  const isOther = index % 9 === 4;
  return {
    event_id: ulid(NOW_MS - DAY_MS * 28 + index),
    action,
    outcome,
    actor: isOther ? 'u_admin_alice' : `u_${['ada', 'ben', 'cem', 'dia'][index % 4]}`,
    ...(isOther ? { onBehalfOf: `c-${index % 20}` } : {}),
    resourceType: action.split('.')[0] ?? '',
    resourceId: `c-${index % 20}`,
    requestId: `req-${index}`,
    traceId: String(index).padStart(32, '0'),
    time: new Date(
      NOW_MS -
        DAY_MS * 28 +
        Math.floor((index * 27 * DAY_MS) / count + ((index * index) % 97) * 60_000),
    ).toISOString(),
    metadata: {
      row_count: (index * 13) % 4000,
      ...(index % 3 === 0 ? { ticket: `SUP-${1000 + index}` } : {}),
    },
  };
}

function leavesOf(records: readonly StoredRecord[]): readonly TreeHash[] {
  return records.map((one) => hashRecordLeaf(one.this_hash));
}

function noteOf(stream: string, records: readonly StoredRecord[]): Promise<string> {
  const root = naiveRoot(leavesOf(records));
  const text = formatCheckpoint({ origin: stream, size: BigInt(records.length), root });
  return signNote(text, [TEST_SIGNER]);
}

/** Puts the signed checkpoint of all of a stream into the store, as the agent does. */
async function signStream(
  server: TestPostgres,
  stream: string,
  records: readonly StoredRecord[],
): Promise<void> {
  await using writer = await connectTo(server.url('writer'));
  const note = await noteOf(stream, records);
  const head = records.at(-1)!.this_hash;
  await insertCheckpoints(writer.client, [{ stream, size: BigInt(records.length), head, note }]);
}

async function prove(
  stream: string,
  records: readonly StoredRecord[],
  eventId: string,
): ReturnType<WebStore['proofOf']> {
  const index = records.findIndex(({ event }) => event.event_id === eventId);
  const record = records[index];
  if (record === undefined) return err('there is no such event');
  const leaves = leavesOf(records);
  const line = formatRecord(record.eventText, record.prev_hash, record.this_hash).trimEnd();
  const checkpoint = await noteOf(stream, records);
  const inclusion = naiveInclusion(index, leaves);
  return ok(formatProof({ record: line, checkpoint, inclusion, anchor: null }));
}
