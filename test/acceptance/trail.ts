/**
 * A whole audit trail for one test file: the agent's own process with its embedded PostgreSQL and
 * its two SIEM files, an SDK that records into it, and ways to look at everything that came out.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { SealedRecord } from '../../schemas/record.ts';
import { createAudit, type Audit, type AuditOptions, type EventDraft } from '../../sdk/index.ts';
import { startAgentProcess, VOCABULARY, type AgentProcess } from '../support/agent-process.ts';

export type Document = { readonly [name: string]: unknown };
type Role = 'owner' | 'writer' | 'auditor' | 'admin';

export interface Trail extends AsyncDisposable {
  readonly agent: AgentProcess;
  readonly audit: Audit;
  /** Another SDK instance into the same agent; closed with the trail. */
  openAudit(options?: Partial<AuditOptions>): Promise<Audit>;
  /** A connection to the store of record; closed with the trail. Default: the auditor's. */
  connect(role?: Role, database?: string): Promise<pg.Client>;
  /** Every record of the ledger, in its order, the agent's own left out. */
  ledger(): Promise<readonly SealedRecord[]>;
  ledgerText(): Promise<string>;
  /** Documents of a SIEM file, once everything recorded so far has arrived in it. */
  siem(format: 'ecs' | 'ocsf'): Promise<readonly Document[]>;
}

/** Starts an agent and an SDK; about three seconds. */
export async function openTrail(): Promise<Trail> {
  const agent = await startAgentProcess();
  const closing: (() => Promise<void>)[] = [];

  async function openAudit(options: Partial<AuditOptions> = {}): Promise<Audit> {
    const audit = createAudit({
      service: 'shop',
      serviceVersion: '2.3.4',
      vocabulary: VOCABULARY,
      socketPath: agent.socketPath,
      redactionKey: await agent.redactionKey(),
      tenant: 'acme',
      // Far above what a slow machine takes.
      timeoutMs: 60_000,
      ...options,
    });
    closing.push(() => audit.close());
    return audit;
  }

  async function ledgerText(): Promise<string> {
    const names = (await readdir(join(agent.dir, 'ledger'))).filter((name) =>
      /^\d{20}\.ndjson$/.test(name),
    );
    const texts = names.sort().map((name) => readFile(join(agent.dir, 'ledger', name), 'utf8'));
    return (await Promise.all(texts)).join('');
  }

  return {
    agent,
    audit: await openAudit(),
    openAudit,
    ledgerText,
    connect: async (role = 'auditor', database) => {
      // The first records have arrived, so the server is up and migrated.
      await agent.delivered();
      const url = new URL(await agent.databaseUrl(role));
      if (database !== undefined) url.pathname = `/${database}`;
      const client = new pg.Client(url.href);
      await client.connect();
      closing.push(() => client.end());
      return client;
    },
    ledger: async () =>
      parseLines<SealedRecord>(await ledgerText()).filter(
        ({ event }) => event.source.service === 'shop',
      ),
    siem: async (format) => {
      await agent.delivered();
      return parseLines<Document>(
        await readFile(join(agent.dir, 'siem', `${format}.ndjson`), 'utf8'),
      );
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(closing.map((close) => close()));
      await agent[Symbol.asyncDispose]();
    },
  };
}

/** Without the last line while it is being written. */
function parseLines<T>(text: string): T[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as T);
}

/** A complete draft; members of `over` replace its own. */
export function draft(over: Partial<EventDraft> = {}): EventDraft {
  return {
    action: 'customer.export',
    outcome: 'success',
    actor: { type: 'user', id: 'u-17', name: 'Ada' },
    resource: { type: 'customer', id: 'c-4' },
    ...over,
  };
}

/** What stands at a dotted path of a document, whether its members are nested or dotted themselves. */
export function at(document: unknown, path: string): unknown {
  if (typeof document !== 'object' || document === null) return undefined;
  const members = document as Document;
  if (Object.hasOwn(members, path)) return members[path];
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const found = at(members[path.slice(0, dot)], path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
