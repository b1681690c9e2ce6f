/** The auditor's page over a real store with a month of events of two tenants, and a browser's way of asking for it. */
import { ulid } from 'ulid';
import pg from 'pg';
import { createAuditor } from '../../auditor/ask.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import type { Health, Login, WebPorts } from '../../auditor/web/ports.ts';
import { createWebServer } from '../../auditor/web/server.ts';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { formatRecord } from '../../ledger/frame.ts';
import { hashRecordLeaf, type TreeHash } from '../../ledger/merkle/hash.ts';
import { signNote } from '../../ledger/note.ts';
import { formatProof } from '../../ledger/proof-file.ts';
import { parseTrust } from '../../ledger/trust.ts';
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

const parsed = parseTrust(TEST_SIGNER.vkey);
const TRUST = parsed.ok ? parsed.value : null;

export interface WebRun {
  readonly url: string;
  readonly ports: WebPorts;
  readonly logged: string[];
  /** Moves the clock of the page. */
  advance(ms: number): void;
  stop(): Promise<void>;
}

/** Starts the page over a store; `over` replaces ports. */
export async function startWeb(
  store: WebStore,
  over: Partial<Omit<WebPorts, 'settings'>> & {
    readonly settings?: Partial<WebPorts['settings']>;
  } = {},
): Promise<WebRun> {
  let nowMs = NOW_MS;
  const logged: string[] = [];
  const log = (fields: object, message: string): void =>
    void logged.push(`${message} ${JSON.stringify(fields)}`);
  const ports: WebPorts = {
    log: { info: log, warn: log, error: log },
    nowMs: () => nowMs,
    openAuditor: (login) => createAuditor({ url: store.urlOf(login) }),
    certify: async (login, asked, work) => {
      const url = store.urlOf(login);
      const auditor = createAuditor({ url });
      const made = await certifyAnswer(auditor, asked, {
        url,
        known: null,
        trust: TRUST,
        verifier: 'test',
        ...work,
      });
      auditor.close();
      return made.ok ? made : err(made.error.message);
    },
    bundleOf: null,
    bundleKey: null,
    proofOf: store.proofOf,
    trust: TRUST,
    health: async () => ok(HEALTH),
    ...over,
    settings: {
      publicUrl: null,
      tls: null,
      trustedProxies: [],
      signIn: { people: null, oidc: null, operators: new Set(['alice']) },
      session: { idleMs: 15 * 60_000, lifeMs: 8 * 3_600_000 },
      ...over.settings,
    },
  };
  const server = await createWebServer(ports);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url, ports, logged, advance: (ms) => void (nowMs += ms), stop: () => server.stop() };
}

export const HEALTH: Health = {
  agent: 'test',
  version: '0.1.0',
  started_at: '2026-11-20T08:00:00.000Z',
  append: {
    ...{ state: 'ready', records: 412_355, ledger_bytes: 310_000_000, queue_events: 3 },
    ...{ queue_events_max: 8192, last_fsync_ms: 1.42, last_fsync_at: '2026-11-26T11:59:59.000Z' },
    last_error: null,
  },
  disk: { used_ratio: 0.41, bytes_left: 41_000_000_000, seconds_left: null },
  rollback: null,
  checkpoints: {
    ...{ state: 'running', lag_records: 12, signed_at: '2026-11-26T11:59:58.000Z' },
    anchored_at: '2026-11-26T11:59:30.000Z',
    anchors: {
      quorum: 1,
      quorum_at: '2026-11-26T11:59:31.000Z',
      members: [
        {
          name: 'witness',
          state: 'taking',
          anchored_at: '2026-11-26T11:59:31.000Z',
          last_error: null,
        },
      ],
    },
    last_error: null,
  },
  sinks: [
    {
      ...{ name: 'postgresql', type: 'postgresql', required: true, state: 'delivering' },
      ...{ lag_records: 12, lag_seconds: 0.4, delivered_total: 412_343, skipped_total: 0 },
      ...{ dead_letters: 0, last_error: null },
    },
    {
      ...{ name: 'elasticsearch/siem', type: 'elasticsearch', required: false, state: 'retrying' },
      ...{ lag_records: 9_120, lag_seconds: 734, delivered_total: 403_235, skipped_total: 0 },
      ...{ dead_letters: 2, last_error: 'connect ECONNREFUSED 10.0.0.9:9200' },
    },
  ],
};

/** What a browser without scripts does: keeps cookies, follows redirects within the page, sends the form's token. */
export interface Visitor {
  readonly cookies: Map<string, string>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  /** `fields` with the token of the last page; an `undefined` header is left away. */
  post(
    path: string,
    fields: Record<string, string>,
    headers?: Record<string, string | undefined>,
  ): Promise<Response>;
  /** Signs in; the page that follows. */
  signIn(name: string, password?: string): Promise<Response>;
  /** Asks a question; the address of its answer. */
  ask(question: string, fields?: Record<string, string>): Promise<string>;
}

export function createVisitor(url: string): Visitor {
  const cookies = new Map<string, string>();
  let csrf = '';

  async function send(path: string, init: RequestInit): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...init.headers, ...(cookie === '' ? {} : { cookie }) };
    const answer = await fetch(new URL(path, url), { ...init, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const page = await answer.clone().text();
    csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? csrf;
    return answer;
  }

  const visitor: Visitor = {
    cookies,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, fields, headers = {}) => {
      const given = { 'sec-fetch-site': 'same-origin', origin: new URL(url).origin, ...headers };
      const sent = Object.entries(given).filter(
        (one): one is [string, string] => one[1] !== undefined,
      );
      const body = new URLSearchParams({ csrf, ...fields });
      return send(path, { method: 'POST', headers: Object.fromEntries(sent), body });
    },
    async signIn(name, password = PASSWORD) {
      await visitor.get('/sign-in');
      const answer = await visitor.post('/sign-in', { name, password });
      return answer.status === 303 ? visitor.get('/') : answer;
    },
    async ask(question, fields = {}) {
      await visitor.get(`/questions/${question}`);
      const form = { question, tenant: 'acme', preset: 'month', zone: 'UTC', ...fields };
      const answer = await visitor.post('/ask', form);
      return answer.headers.get('location') ?? '';
    },
  };
  return visitor;
}
