/**
 * A shop with an outbox: its own database beside the store of record on the agent's real PostgreSQL (or on
 * a server of its own), the real agent, and relays within this process or in ones that can be killed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import pg from 'pg';
import { createAudit, type Audit, type AuditOptions, type EventDraft } from '../../sdk/index.ts';
import {
  createOutbox,
  createRelay,
  outboxSchema,
  type DatabaseClient,
  type Outbox,
  type Relay,
  type RelayOptions,
} from '../../sdk/outbox.ts';
import { until } from './agent-peer.ts';
import { startAgentProcess, VOCABULARY, type AgentProcess } from './agent-process.ts';
import { DEADLINE_MS } from './eventually.ts';

export interface OutboxRowSeen {
  readonly id: string;
  readonly event_id: string;
  readonly action: string;
  readonly occurred_at: Date;
  readonly line: string;
  readonly lane: string | null;
  readonly intent_id: string | null;
  readonly settled_at: Date | null;
  readonly shipped_at: Date | null;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly set_aside_at: Date | null;
}

export interface Shop extends AsyncDisposable {
  readonly agent: AgentProcess;
  readonly audit: Audit;
  readonly outbox: Outbox;
  /** Of the application's database. */
  readonly url: string;
  /** A connection in use by the test itself. */
  readonly db: pg.Client;
  /** The store of record, as an auditor. */
  readonly store: pg.Client;
  connect(): Promise<DatabaseClient & pg.Client>;
  openAudit(options?: Partial<AuditOptions>): Promise<Audit>;
  /** Starts a relay in this process; stopped with the shop. */
  startRelay(options?: Partial<RelayOptions>): Relay;
  /** Starts `producers/outbox.mjs`. */
  startProcess(options: object): Promise<OutboxProcess>;
  rows(): Promise<readonly OutboxRowSeen[]>;
  /** Resolves once no row waits. */
  shipped(timeoutMs?: number): Promise<void>;
  /** How often the store's ledger copy, and its view of events, have each event id. */
  stored(): Promise<Stored>;
  /** Empties the shop's tables. */
  reset(): Promise<void>;
}

export interface Stored {
  /** Events as queries show them. */
  readonly events: ReadonlyMap<string, number>;
  /** Records, repeated events included. */
  readonly records: ReadonlyMap<string, number>;
}

export interface OutboxProcess {
  /** Resolves once it has said the word. */
  said(word: string): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export function deletion(id: string, over: Partial<EventDraft> = {}): EventDraft {
  return {
    action: 'customer.delete',
    outcome: 'success',
    actor: { type: 'user', id: 'u-17', name: 'Ada' },
    resource: { type: 'customer', id },
    ...over,
  };
}

/** Opens a shop; `url` is the database to use instead of one on the agent's server. */
export async function openShop(ownUrl?: string): Promise<Shop> {
  const agent = await startAgentProcess();
  const closing: (() => Promise<unknown>)[] = [];
  const redactionKey = await agent.redactionKey();
  await agent.delivered();
  const url = ownUrl ?? (await createDatabase(await agent.databaseUrl('admin')));

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client(url);
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async function openAudit(options: Partial<AuditOptions> = {}): Promise<Audit> {
    const audit = createAudit({
      service: 'shop',
      vocabulary: VOCABULARY,
      socketPath: agent.socketPath,
      redactionKey,
      tenant: 'acme',
      ...options,
    });
    closing.unshift(() => audit.close());
    return audit;
  }

  const audit = await openAudit();
  const db = await connect();
  closing.push(() => db.end());
  await db.query(`CREATE TABLE customers (id text PRIMARY KEY); ${outboxSchema()}`);
  const store = new pg.Client(await agent.databaseUrl('auditor'));
  await store.connect();
  closing.push(() => store.end());
  const processes: OutboxProcess[] = [];

  const countOf = async (sql: string): Promise<ReadonlyMap<string, number>> => {
    const { rows } = await store.query<{ event_id: string; n: number }>(sql);
    return new Map(rows.map(({ event_id, n }) => [event_id, n]));
  };

  return {
    agent,
    audit,
    outbox: createOutbox(audit),
    url,
    db,
    store,
    connect,
    openAudit,
    startRelay: (options = {}) => {
      const relay = createRelay({ audit, connect, pollMs: 200, ...options });
      closing.unshift(() => relay.stop());
      return relay;
    },
    startProcess: async (options) => {
      const whole = { url, service: 'shop', socketPath: agent.socketPath, vocabulary: VOCABULARY };
      const started = startProcess({ ...whole, ...options }, redactionKey);
      processes.push(started);
      return started;
    },
    rows: async () =>
      (await db.query<OutboxRowSeen>('SELECT * FROM audit_outbox ORDER BY id')).rows,
    shipped: async (timeoutMs = 30_000) => {
      const waiting = async (): Promise<boolean> => {
        const { rows } = await db.query(
          'SELECT 1 FROM audit_outbox WHERE shipped_at IS NULL AND set_aside_at IS NULL LIMIT 1',
        );
        return rows.length > 0;
      };
      await eventually(async () => !(await waiting()), 'every row to be shipped', timeoutMs);
    },
    stored: async () => {
      await agent.delivered();
      return {
        events: await countOf(
          `SELECT event_id, count(*)::int AS n FROM audit.events WHERE tenant_id = 'acme' GROUP BY 1`,
        ),
        records: await countOf(
          `SELECT event_id, count(*)::int AS n FROM audit.records WHERE tenant_id = 'acme' GROUP BY 1`,
        ),
      };
    },
    reset: async () => {
      await db.query('TRUNCATE customers, audit_outbox');
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of processes) await one.kill();
      for (const close of closing) await close();
      await agent[Symbol.asyncDispose]();
    },
  };
}

async function createDatabase(adminUrl: string): Promise<string> {
  const admin = new pg.Client(adminUrl);
  await admin.connect();
  await admin.query('CREATE DATABASE shop');
  await admin.end();
  const url = new URL(adminUrl);
  url.pathname = '/shop';
  return url.href;
}

function startProcess(options: object, key: string): OutboxProcess {
  const script = join(import.meta.dirname, 'producers/outbox.mjs');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    env: { ...process.env, SEALTRAIL_REDACTION_KEY: key },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const exited = once(child, 'exit');
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
  };
  return {
    said: (word) =>
      until(() => {
        if (child.exitCode !== null) throw new Error(`outbox.mjs ended: ${errors}`);
        return output.split('\n').includes(word);
      }, `the process to say ${word}`),
    kill: () => end('SIGKILL'),
    stop: async () => {
      await end('SIGTERM');
      if (child.exitCode !== 0) throw new Error(`outbox.mjs: ${errors}`);
    },
  };
}

/** Waits for a condition that has to be asked for. */
export async function eventually(
  holds: () => Promise<boolean>,
  what: string,
  timeoutMs: number = DEADLINE_MS,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
