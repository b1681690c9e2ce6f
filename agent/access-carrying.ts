/**
 * Carries the store's access log into the trail: each question that was asked of it, answered or refused,
 * becomes a sealed event of the tenant asked about. An event counts once however often it is carried: its
 * id is made of the row.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { createRedactor, type Redactor } from '../redaction/redaction.ts';
import { canonicalEvent } from '../schemas/canonical-event.ts';
import { canonicalize } from '../schemas/canonical.ts';
import { checkEvent } from '../schemas/event-check.ts';
import type { Config } from '../schemas/config.ts';
import type { AuditEvent, Json } from '../schemas/event.ts';
import type { PostgresqlExporterConfig } from '../schemas/exporter-config.ts';
import { messageOf, ok } from '../schemas/result.ts';
import { ulidOf } from '../schemas/ulid.ts';
import { carryAccesses, forgetAccesses, type Access } from '../store/access-log.ts';
import { createConnection, type Connection } from '../store/connection.ts';
import { embeddedAddress, embeddedHome } from '../store/embedded-address.ts';
import { AGENT_RETENTION_CLASS, AGENT_TENANT, describeAgentEvent } from './append/agent-event.ts';
import type { OpenedLedger } from './append/open.ts';
import type { Base } from './base.ts';
import type { AdmittedEvent } from './ports.ts';

/** Producer of such events; they are numbered as the agent's own. */
const PRODUCER = 'access-log';
const LOOK_MS = 2_000;
const BATCH_MAX = 256;
const FORGET_EVERY_MS = 3_600_000;
/** A minute of them: a first start makes the database, and is no trouble (sinks/postgresql.ts). */
const FAULTS_TOLD = 30;
const NOT_YET = 'who read the trail stands in the store, and cannot be carried into the trail';
const NOT_LESS =
  'what is in the trail since long cannot be removed from the access log of the store: has it been migrated?';

function storeOf({ exporters }: Config): PostgresqlExporterConfig | undefined {
  return exporters.find((exporter) => exporter.type === 'postgresql');
}

/** Where the store of record is, as its writer; null: the configuration has none. */
function connect(config: Config): Connection | null {
  const store = storeOf(config);
  if (store === undefined) return null;
  const home = embeddedHome(config.data_dir);
  return createConnection({
    url: store.embedded ? embeddedAddress(home, 'writer') : (store.url ?? ''),
    ...(store.tls === undefined ? {} : { tls: store.tls }),
    applicationName: 'sealtrail access log',
  });
}

/**
 * Begins to look, where there is a store of record; it stops before the ledger is closed. What comes back
 * takes up a configuration that was read again.
 */
export function carryAccessLog(base: Base, ledger: OpenedLedger): (config: Config) => void {
  const { log, stops } = base;
  let connection = connect(base.config);
  const keep = createKeeper(base, ledger);
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let isStopped = false;
  let faults = 0;
  let forgetMs = 0;

  async function look(): Promise<void> {
    if (connection === null) return;
    try {
      const client = await connection.client();
      while (!isStopped && (await carryAccesses(client, BATCH_MAX, keep)) === BATCH_MAX);
      faults = 0;
      if (!isStopped && Date.now() >= forgetMs) {
        // Once an hour, also where it fails: what is kept longer does no harm, if somebody hears of it.
        forgetMs = Date.now() + FORGET_EVERY_MS;
        await forgetAccesses(client).catch((error: unknown) => {
          if (!isStopped) log.warn({ component: 'access log', error: messageOf(error) }, NOT_LESS);
        });
      }
    } catch (error) {
      connection?.drop();
      // The rows stay in the store. Said once, and late: a store takes its time to start and to be migrated.
      faults += 1;
      if (!isStopped && faults === FAULTS_TOLD)
        log.warn({ component: 'access log', error: messageOf(error) }, NOT_YET);
    }
  }

  function again(): void {
    looking = look().then(() => {
      if (!isStopped) timer = setTimeout(again, LOOK_MS);
    });
  }
  again();
  stops.add('access log', async () => {
    isStopped = true;
    clearTimeout(timer);
    connection?.drop();
    await looking;
  });
  let store = storeOf(base.config);
  return (config) => {
    if (isDeepStrictEqual(storeOf(config), store)) return;
    store = storeOf(config);
    connection?.drop();
    connection = connect(config);
  };
}

/** Makes rows events and has them appended; rejects unless all of them are durable. */
export function createKeeper(
  { agent, keys, config }: Pick<Base, 'agent' | 'keys' | 'config'>,
  { append }: Pick<OpenedLedger, 'append'>,
): (accesses: readonly Access[]) => Promise<void> {
  const redactor = createRedactor({
    masterKey: keys.redaction,
    sensitiveKeys: config.processors.redaction.sensitive_keys,
  });
  return async (accesses) => {
    const known = new Set([
      ...config.tenants.map(({ id }) => id),
      ...append.status().streams.map(({ tenant }) => tenant),
    ]);
    const events = accesses.map((access) => {
      // Whoever guesses names must not make streams of them.
      const tenant = known.has(access.tenant) ? access.tenant : AGENT_TENANT;
      return ok(admit(describeAccess(agent, access, tenant, redactor), tenant));
    });
    const outcomes = await append.append({ producer: PRODUCER, firstSeq: null, events });
    for (const outcome of outcomes)
      if (outcome.kind === 'refused') throw new Error(outcome.refusal.message);
  };
}

function admit(event: AuditEvent, tenant: string): AdmittedEvent {
  const canonical = canonicalEvent(canonicalize(event));
  return { tenant, retention_class: AGENT_RETENTION_CLASS, canonical };
}

/** The event of a row. Parameters that no event can hold are named by their digest. */
function describeAccess(
  agent: Base['agent'],
  access: Access,
  tenant: string,
  redactor: Redactor,
): AuditEvent {
  const { access_id, login, application, question, since, until, parameters } = access;
  const said = { access_id, question, tenant: access.tenant, since, until, application };
  const describe = (metadata: { readonly [name: string]: Json }): AuditEvent => ({
    ...describeAgentEvent(
      agent,
      {
        action: access.allowed ? 'trail.read' : 'trail.read_refused',
        outcome: access.allowed ? 'success' : 'denied',
        actor: { type: 'user', id: login, name: login, on_behalf_of: null },
        resource: { type: 'audit_trail', id: access.tenant },
        tenant,
        metadata,
      },
      access.asked_ms,
    ),
    event_id: eventIdOf(access),
  });
  const whole = describe({ ...said, parameters: JSON.parse(parameters) as Json });
  const checked = checkEvent(whole);
  const digest = createHash('sha256').update(parameters).digest('hex');
  return redactor.redactEvent(
    checked.ok ? whole : describe({ ...said, parameters_sha256: digest }),
  );
}

/** One id a row, however often it is carried. */
function eventIdOf(access: Access): string {
  const row = createHash('sha256')
    .update(`access\n${JSON.stringify(access)}`)
    .digest();
  return ulidOf(access.asked_ms, row);
}
