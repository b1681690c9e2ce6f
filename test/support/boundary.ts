/**
 * Two tenants in one store, and an auditor each: `alice` of acme and `bob` of zeta, made as `sealtrail auditor
 * grant` makes them. What is zeta's carries the word SECRET wherever an event can hold a word.
 */
import pg from 'pg';
import { createPostgresStore } from '../../store/postgres.ts';
import { grantAuditor } from '../../store/auditors.ts';
import { scramVerifier } from '../../store/scram.ts';
import type { StoredRecord } from '../../store/store.ts';
import { createSealer, type EventFields, type Sealer } from '../store/sealed.ts';
import { PASSWORD, startKind, type Kind } from './store-kinds.ts';

export const SECRET = 'zz-secret';
export const OWN = 'own-thing';
/** Of a month that has no partition when the auditors are made. */
export const LATER = '2024-03-05T00:00:00.000Z';
/** Records of zeta; acme has ten of its own. */
export const SECRET_COUNT = 700;

export interface Boundary extends AsyncDisposable {
  readonly admin: pg.Client;
  /** A session of its own; ended with the rest. */
  connect(login: string): Promise<pg.Client>;
  url(login: string): string;
}

/** The embedded server of this version, or the oldest that is supported. */
export async function openBoundary(kind: Kind): Promise<Boundary> {
  const server = await startKind(kind);
  const clients: pg.Client[] = [];
  const connect = async (login: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: server.url(login), pipeline: true });
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  };
  const store = createPostgresStore({
    url: server.url('sealtrail_writer'),
    ownerUrl: server.url('sealtrail_owner'),
  });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const admin = await connect('admin');
  const [acme, zeta] = [createSealer(undefined, 'acme'), createSealer(undefined, 'zeta')];
  const add = async (...records: Parameters<typeof store.appendRecords>[0]): Promise<void> => {
    const done = await store.appendRecords(records);
    if (!done.ok) throw new Error(done.error.message);
  };
  // Each of a moment of its own: which index is the cheapest must not turn on how fast they are made.
  const nowMs = Date.now();
  const at = (n: number): string => new Date(nowMs + n).toISOString();
  const seal = (by: Sealer, length: number, word: string): StoredRecord[] =>
    Array.from({ length }, (_, n) => by.seal({ ...fieldsOf(word), time: at(n) }));
  await add(...seal(acme, 9, OWN));
  await add(...seal(zeta, SECRET_COUNT - 1, SECRET));
  for (const [login, tenants] of [
    ['alice', ['acme']],
    ['bob', ['zeta']],
  ] as const) {
    const verifier = scramVerifier(PASSWORD);
    const granted = await grantAuditor(admin, { login, tenants, verifier });
    if (!granted.ok) throw new Error(granted.error);
  }
  await add(
    acme.seal({ ...fieldsOf(OWN), time: LATER }),
    zeta.seal({ ...fieldsOf(SECRET), time: LATER }),
  );
  await store.close();
  await fillTheRest(admin);
  return {
    admin,
    connect,
    url: server.url,
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(clients.map((client) => client.end()));
      await server.stop();
    },
  };
}

function fieldsOf(word: string): EventFields {
  return {
    ...{ actor: word, onBehalfOf: word, resourceId: word, requestId: word },
    traceId: (word === SECRET ? 'e' : 'a').repeat(32),
    metadata: { note: word },
  };
}

/** What checkpoints, a purge and a matter leave, of both tenants; and what the planner knows. */
async function fillTheRest(admin: pg.Client): Promise<void> {
  await admin.query(`
    INSERT INTO audit.stubs SELECT stream_id, 100000, tenant_id, sha256(''), sha256(''), stream_id, 1 FROM audit.streams;
    INSERT INTO audit.checkpoints (stream, size, tenant_id, note) SELECT stream, 1, tenant_id, tenant_id FROM audit.streams;
    INSERT INTO audit.purges (stream_id, purge_stream_id, purge_seq, size, base, done_to, holds_seen)
      SELECT stream_id, stream_id, 1, 256, 256, 0, 0 FROM audit.streams;
    INSERT INTO audit.legal_holds (hold_id, matter, reason, tenant_id, placed_by)
      VALUES ('h1', '${SECRET}', '${SECRET}', 'zeta', 'x'), ('h2', 'own', 'own', 'acme', 'x');
    ANALYZE`);
}
